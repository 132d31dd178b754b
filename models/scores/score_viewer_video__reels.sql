-- Every candidate with its five signals and its score, from 0 to a million.
with

-- One row: what this viewer's score is made with, the same for every candidate. Arrays tell "no
-- history" (empty) from "none with this creator", which a join that finds nothing cannot, and
-- creator 0 is a creator like any other. A variant nobody defined ranks as `default`: a stale flag
-- must not empty a feed.
viewer as (

    select
        weight_freshness,
        weight_completion,
        weight_engagement,
        weight_affinity,
        weight_deep_model,
        {{ viewer_history(ref('sig_viewer_creator__affinity')) }} as history

    from {{ ref('ranking_weights') }}
    where variant in ({{ variant() }}, 'default')
    order by variant = {{ variant() }} desc
    limit 1

),

-- Signals first, their sum in a step of its own: ClickHouse analyses an alias anew at each use.
signals as (

    select
        candidates.video_id as video_id,
        candidates.creator_id as creator_id,
        candidates.source_rank as source_rank,
        candidates.card as card,
        {{ quadratic_decay('candidates.published_at', as_of(), var('freshness_span_hours')) }}
            as freshness,
        candidates.completion as completion,
        candidates.engagement as engagement,
        if(
            empty(tupleElement(viewer.history, 1)),
            {{ var('affinity_without_history_rate') }},
            tupleElement(viewer.history, 1)[
                indexOf(tupleElement(viewer.history, 2), candidates.creator_id)
            ]
        ) as affinity,
        candidates.deep_model as deep_model,
        viewer.weight_freshness as weight_freshness,
        viewer.weight_completion as weight_completion,
        viewer.weight_engagement as weight_engagement,
        viewer.weight_affinity as weight_affinity,
        viewer.weight_deep_model as weight_deep_model

    from {{ ref('cand_viewer_video__reels') }} as candidates
    cross join viewer

)

select
    video_id,
    creator_id,
    source_rank,
    card,
    freshness,
    completion,
    engagement,
    affinity,
    deep_model,
    toUInt32(round(1000000 * {{ weighted_mean(
        signals=['freshness', 'completion', 'engagement', 'affinity'],
        optional=['deep_model'],
    ) }})) as score_ppm
from signals
