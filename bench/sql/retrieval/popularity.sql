-- What was played most in 90 days, best first.
select groupArray(video_id) as video_ids
from (
    select video_id
    from raw.video_ranking_signals_1h
    group by video_id
    order by
        sum(views) desc,
        video_id desc
) as popular
