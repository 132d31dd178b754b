-- Whether a viewer follows one of some authors: as many steps in the key as there are authors.
select count(*) > 0 as is_follower
from app.follows
where
    follower_id = %(viewer_id)s
    and followee_id = any(%(author_ids)s)
    and not deleted
