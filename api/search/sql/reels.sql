-- A page of the videos that answer a query, best first, behind a place. What matches and what it is
-- worth is the view's. The scan ends with the first few hundred that match: in blocks of the usual
-- size it would have read 60,000 rows by then.
select
    video_id,
    creator_id,
    published_at,
    relevance_ppm
from
    nova.search__reels(
        asked_tokens = {asked_tokens:Array(String)},
        corrected_tokens = {corrected_tokens:Array(String)},
        scarce_tokens = {scarce_tokens:Array(String)},
        token_hashes = {token_hashes:Array(UInt64)},
        token_weights = {token_weights:Array(Float64)},
        mean_tokens = {mean_tokens:Array(Float64)},
        viewer_id = {viewer_id:UInt64},
        creator_ids = {creator_ids:Array(UInt64)},
        categories = {categories:Array(String)},
        published_from = {published_from:DateTime64(3, 'UTC')},
        published_until = {published_until:DateTime64(3, 'UTC')}
    )
where
    (relevance_ppm, published_at, video_id) < (
        {below_ppm:UInt64}, {below_at:DateTime64(3, 'UTC')}, {below_id:UInt64}
    )
order by
    relevance_ppm desc,
    published_at desc,
    video_id desc
limit {places:UInt16}
settings max_block_size = 1024
