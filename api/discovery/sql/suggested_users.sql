-- Whom a viewer may want to follow, best first. Rules and weights are the view's.
select
    user_id,
    reasons,
    shared_user_ids as related_ids,
    shared_follows,
    affinity as closeness,
    followers_gained,
    score_ppm / 1000000 as score
from
    nova.suggested_users(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')}
    )
order by position
