-- How much a viewer's own reactions of the last 90 days point at a creator: 1 is the creator they
-- reacted to most. Always filter on viewer_id: it reaches the key of the rollup below, and the
-- largest value is that viewer's.
with

reactions as (

    select
        user_id as viewer_id,
        author_id as creator_id,
        {{ affinity_points('sum(likes)', 'sum(comments)') }} as points

    from {{ source('raw', 'user_author_90d') }}
    where day > toDate({{ run_at() }}) - {{ var('affinity_window_days') }}
    group by
        viewer_id,
        creator_id

)

-- Likes taken back may leave less than nothing: no history with that creator.
select
    viewer_id,
    creator_id,
    points / max(points) over (partition by viewer_id) as affinity
from reactions
where points > 0
