-- What was played and reacted to most in the last 24 hours of what was imported, best first: the
-- day's chart as it stood at the cut.
select groupArray(video_id) as video_ids
from (
    select video_id
    from raw.video_ranking_signals_1h
    where
        hour >= (
            select max(hours.hour) - toIntervalHour(24)
            from raw.video_ranking_signals_1h as hours
        )
    group by video_id
    order by
        sum(completions) + sum(likes) + 2 * sum(shares) + 0.5 * sum(comments) desc,
        video_id desc
    limit 200
) as chart
