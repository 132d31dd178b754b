-- Creators a viewer does not follow yet, best first. Rules and weights are the view's.
select
    creator_id as user_id,
    reasons,
    close_creator_ids as related_ids,
    closeness,
    followers_gained,
    0 as shared_follows,
    score_ppm / 1000000 as score
from
    nova.creators_to_discover(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')}
    )
order by position
