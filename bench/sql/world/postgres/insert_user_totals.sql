-- One row per user who follows or is followed: what the trigger on app.follows would have counted.
insert into app.user_totals (user_id, followers, followings)
select
    ends.user_id,
    sum(ends.followers),
    sum(ends.followings)
from (
    select
        followee_id as user_id,
        count(*) as followers,
        0 as followings
    from app.follows
    group by followee_id
    union all
    select
        follower_id,
        0,
        count(*)
    from app.follows
    group by follower_id
) as ends
group by ends.user_id
