-- Every candidate with its five signals and its score, from 0 to a million.
with

-- One row, whatever the viewer: arrays tell "no history" (empty) from "none with this creator",
-- which a join that finds nothing cannot, and creator 0 is a creator like any other.
history as (

    select
        groupArray(creator_id) as creators,
        groupArray(affinity) as affinities

    from {{ ref('sig_viewer_creator__affinity') }}
    where viewer_id = {{ viewer_id() }}

),

-- A variant nobody defined ranks as `default`: a stale flag must not empty a feed.
weights as (

    select *
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
            empty(history.creators),
            {{ var('affinity_without_history_rate') }},
            history.affinities[indexOf(history.creators, candidates.creator_id)]
        ) as affinity,
        candidates.deep_model as deep_model,
        weights.weight_freshness as weight_freshness,
        weights.weight_completion as weight_completion,
        weights.weight_engagement as weight_engagement,
        weights.weight_affinity as weight_affinity,
        weights.weight_deep_model as weight_deep_model

    from {{ ref('cand_viewer_video__reels') }} as candidates
    cross join history
    cross join weights

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
    toUInt32(round(1000000 * assumeNotNull({{
        weighted_mean(['freshness', 'completion', 'engagement', 'affinity', 'deep_model'])
    }}))) as score_ppm
from signals
