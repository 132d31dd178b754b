-- Which of some posts are deleted; by key.
select id
from app.posts
where
    id = any(%(post_ids)s::bigint[])
    and deleted
