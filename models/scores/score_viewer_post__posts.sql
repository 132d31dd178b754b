-- Every candidate with its three signals and its score. Engagement and affinity are logarithms
-- without an upper bound, and so is the score.
with

-- One row: what this viewer's score is made with, the same for every candidate. A variant nobody
-- defined ranks as `default`: a stale flag must not empty a feed.
viewer as (

    select
        weight_freshness,
        weight_engagement,
        weight_affinity,
        {{ viewer_history(ref('sig_viewer_author__affinity'), 'author_id') }} as history

    from {{ ref('post_ranking_weights') }}
    where variant in ({{ variant() }}, 'default')
    order by variant = {{ variant() }} desc
    limit 1

),

-- Signals first, their sum in a step of its own: ClickHouse analyses an alias anew at each use.
-- Element 0 of an array is 0: no history with the author, who may be author 0.
signals as (

    select
        candidates.post_id as post_id,
        candidates.author_id as author_id,
        candidates.source_rank as source_rank,
        candidates.card as card,
        {{ exponential_decay(
            'candidates.created_at', as_of(), var('post_freshness_decay_per_hour')
        ) }} as freshness,
        candidates.engagement as engagement,
        tupleElement(viewer.history, 1)[
            indexOf(tupleElement(viewer.history, 2), candidates.author_id)
        ] as affinity,
        viewer.weight_freshness as weight_freshness,
        viewer.weight_engagement as weight_engagement,
        viewer.weight_affinity as weight_affinity

    from {{ ref('cand_viewer_post__posts') }} as candidates
    cross join viewer

)

select
    post_id,
    author_id,
    source_rank,
    card,
    freshness,
    engagement,
    affinity,
    toInt64(round(1000000 * {{ weighted_sum(['freshness', 'engagement', 'affinity']) }}))
        as score_ppm
from signals
