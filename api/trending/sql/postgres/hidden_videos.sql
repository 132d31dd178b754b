-- Those of some videos that are not public any more. What Postgres does not know is not hidden.
select id
from app.videos
where
    id = any(%(video_ids)s::bigint[])
    and (deleted or status != 'published')
