-- How much a viewer did with an author's items in the last 90 days, more counting less and less.
-- Always filter on viewer_id: it reaches the key of the rollup below.
-- Likes taken back may leave less than nothing, which is no history with that author.
select
    viewer_id,
    author_id,
    log1p(points) as affinity
from (
    select
        user_id as viewer_id,
        author_id,
        {{ post_affinity_points('sum(likes)', 'sum(comments)', 'sum(views)') }} as points
    from {{ source('raw', 'user_author_90d') }}
    where day > toDate({{ run_at() }}) - {{ var('affinity_window_days') }}
    group by
        viewer_id,
        author_id
) as actions
where points > 0
