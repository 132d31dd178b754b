-- One row per viewer in ten and the creator they block: one they could have met in their feed.
insert into app.blocks (blocker_id, blocked_id, created_at)
select
    numbers.viewer_id,
    floor(
        %(creators)s * power(app.generate_random(%(seed)s, 'blocks', numbers.viewer_id), 2.5)
    )::bigint,
    %(as_of)s - interval '60 days'
from
    generate_series(
        %(first_viewer_id)s::bigint, %(first_viewer_id)s::bigint + %(viewers)s - 1
    ) as numbers (viewer_id)
where app.generate_random(%(seed)s, 'quarrels', numbers.viewer_id) < 0.1
order by numbers.viewer_id
