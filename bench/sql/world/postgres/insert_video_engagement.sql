-- One row per published video of a range of ids that anybody ever played. How popular it is says
-- its place, a permutation of the ids (see stride in bench/world.py): the video at place p gets
-- plays in proportion to (p + 1)^-0.6, so a tenth of the videos gets two fifths.
--
-- A video that was published after played_until has no plays yet; neither has one in twenty of the
-- others.
insert into app.video_engagement (
    video_id, views, completions, watch_ms, likes, shares, comments
)
select
    played.video_id,
    played.views,
    played.views * played.completion_rate,
    floor(played.views * played.completion_rate * played.duration_ms)::bigint,
    floor(played.views * 0.12 * power(played.like_draw, 2))::bigint,
    floor(played.views * 0.01 * played.share_draw)::bigint,
    floor(played.views * 0.02 * played.comment_draw)::bigint
from (
    select
        draws.video_id,
        draws.duration_ms,
        0.15 + 0.7 * app.generate_random(%(seed)s, 'quality', draws.twin_id) as completion_rate,
        app.generate_random(%(seed)s, 'likes', draws.twin_id) as like_draw,
        app.generate_random(%(seed)s, 'shares', draws.twin_id) as share_draw,
        app.generate_random(%(seed)s, 'comments', draws.twin_id) as comment_draw,
        floor(
            %(plays)s * 0.4
            / (power(draws.place + 1, 0.6) * power(%(videos)s::double precision, 0.4))
            -- Some luck, one on average.
            * -ln(1 - app.generate_random(%(seed)s, 'luck', draws.twin_id))
            -- Half of what it will get comes in its first day.
            * draws.age_hours / (draws.age_hours + 24)
        )::bigint as views
    from (
        select
            twins.video_id,
            twins.twin_id,
            twins.duration_ms,
            -- Numbers of any size have powers too, a hundred times as slow.
            mod(
                mod(twins.twin_id - mod(%(seed)s, %(videos)s) + %(videos)s, %(videos)s)
                * %(stride_inverse)s::bigint,
                %(videos)s
            )::double precision as place,
            extract(epoch from %(as_of)s - twins.published_at)::double precision / 3600 as age_hours
        from (
            select
                videos.id as video_id,
                videos.id - (mod(videos.id, 20) = 1)::integer as twin_id,
                videos.duration_ms,
                videos.published_at
            from app.videos
            where
                videos.id >= %(from_id)s
                and videos.id < %(to_id)s
                and videos.status = 'published'
                and videos.published_at < %(played_until)s
        ) as twins
        where app.generate_random(%(seed)s, 'is played', twins.twin_id) >= 0.05
    ) as draws
) as played
where played.views > 0
order by played.video_id
