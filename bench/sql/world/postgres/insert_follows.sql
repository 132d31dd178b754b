-- One row per viewer of a range of ids and creator they follow. Half of the viewers follow less
-- than 30 creators, one in two hundred follows 500, and all follow follows_per_viewer on average.
--
-- Whom: a creator at place p (their id) is drawn in proportion to (p + 1)^-0.6. The draws of a
-- viewer are one from each n-th part, so that few of them fall on the same creator.
insert into app.follows (follower_id, followee_id, created_at)
select
    drawn.viewer_id,
    drawn.creator_id,
    date_trunc(
        'milliseconds',
        %(as_of)s - interval '60 days' * app.generate_random(
            %(seed)s, 'followed at', drawn.viewer_id, drawn.creator_id
        )
    )
from (
    select distinct
        sociable.viewer_id,
        floor(
            %(creators)s * power(
                (
                    draws.draw_number - 1
                    + app.generate_random(
                        %(seed)s, 'follows', sociable.viewer_id, draws.draw_number
                    )
                ) / sociable.follows,
                2.5
            )
        )::bigint as creator_id
    from (
        select
            numbers.viewer_id,
            -- 0.43 makes it one on average.
            round(
                %(follows_per_viewer)s * least(
                    10,
                    0.43 * power(
                        1 - app.generate_random(%(seed)s, 'sociable', numbers.viewer_id), -0.6
                    )
                )
            )::integer as follows
        from generate_series(%(from_id)s::bigint, %(to_id)s::bigint - 1) as numbers (viewer_id)
    ) as sociable
    cross join lateral generate_series(1, sociable.follows) as draws (draw_number)
) as drawn
order by
    drawn.viewer_id,
    drawn.creator_id
