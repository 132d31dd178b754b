-- Every candidate with its five signals and its score, from 0 to a million.
with

candidates as (

    select * from {{ ref('cand_viewer_video__reels') }}

),

-- One row, whatever the viewer: arrays say "no history" (empty) apart from "not this creator",
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
        -- No embeddings yet. Null is "not there", which is not 0: its weight goes to the others.
        cast(null, 'Nullable(Float64)') as deep_model

    from candidates
    cross join history

)

select
    signals.video_id as video_id,
    signals.creator_id as creator_id,
    signals.source_rank as source_rank,
    signals.card as card,
    signals.freshness as freshness,
    signals.completion as completion,
    signals.engagement as engagement,
    signals.affinity as affinity,
    signals.deep_model as deep_model,
    toUInt32(round(1000000 * assumeNotNull({{
        weighted_mean(['freshness', 'completion', 'engagement', 'affinity', 'deep_model'])
    }}))) as score_ppm
from signals
cross join weights
