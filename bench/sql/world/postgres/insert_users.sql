-- One row per user: creators are 0 to creators - 1, the most followed one first; viewers follow
-- each other from first_viewer_id on.
insert into app.users (id, username, created_at)
select
    people.user_id,
    people.username,
    -- Before the oldest video.
    %(as_of)s - make_interval(
        days => 61 + floor(300 * app.generate_random(%(seed)s, 'joined', people.user_id))::integer
    )
from (
    select
        numbers.number as user_id,
        'creator_' || numbers.number as username
    from generate_series(0, %(creators)s - 1) as numbers (number)
    union all
    select
        %(first_viewer_id)s + numbers.number,
        'viewer_' || numbers.number
    from generate_series(0, %(viewers)s - 1) as numbers (number)
) as people
order by people.user_id
