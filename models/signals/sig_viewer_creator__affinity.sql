-- How much a viewer's own reactions of the last 90 days point at a creator: 1 is the creator they
-- reacted to most. Always filter on viewer_id: it reaches the key of the rollup below.
-- Likes taken back may leave less than nothing, which is no history with that creator.
select
    viewer_id,
    creator_id,
    points / max(points) over (partition by viewer_id) as affinity
from (
    select
        user_id as viewer_id,
        author_id as creator_id,
        {{ affinity_points('sum(likes)', 'sum(comments)') }} as points
    from {{ source('raw', 'user_author_90d') }}
    where day > toDate({{ run_at() }}) - {{ var('affinity_window_days') }}
    group by
        viewer_id,
        creator_id
) as reactions
where points > 0
