-- Titles to make queries from: the same ones on every run over the same videos.
select title
from raw.videos_current
where
    status = 'published'
    and title != ''
order by sipHash64(video_id, 'bench')
limit {titles:UInt64} -- noqa: PRS
