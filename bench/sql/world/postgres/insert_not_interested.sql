-- One row per viewer in five and video they do not want to see again, up to four each: popular
-- ones, at the places that plays go to.
insert into app.not_interested (user_id, video_id, created_at)
select distinct
    drawn.viewer_id,
    mod(drawn.place * %(stride)s + %(seed)s, %(videos)s),
    %(as_of)s - interval '1 hour'
from (
    select
        numbers.viewer_id,
        floor(
            %(videos)s * power(
                app.generate_random(%(seed)s, 'hides', numbers.viewer_id, draws.draw_number), 2.5
            )
        )::bigint as place
    from
        generate_series(
            %(first_viewer_id)s::bigint, %(first_viewer_id)s::bigint + %(viewers)s - 1
        ) as numbers (viewer_id)
    cross join generate_series(1, 4) as draws (draw_number)
    where
        app.generate_random(%(seed)s, 'is annoyed', numbers.viewer_id) < 0.2
) as drawn
order by 1, 2
