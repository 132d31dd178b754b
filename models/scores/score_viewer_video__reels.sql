-- Every candidate with its five signals and its score, from 0 to a million.
with

(
    select (affinity_creators, affinities) from {{ ref('cand_viewer__lists') }}
) as history,

candidates as (

    select * from {{ ref('cand_viewer_video__reels') }}

),

-- A variant nobody defined ranks as `default`: a stale flag must not empty a feed.
weights as (

    select * from {{ ref('ranking_weights') }}
    where variant in ({{ variant() }}, 'default')
    order by variant = {{ variant() }} desc
    limit 1

),

signals as (

    select
        video_id,
        creator_id,
        source_rank,
        {{ quadratic_decay('published_at', as_of(), var('freshness_span_hours')) }} as freshness,
        completion,
        engagement,
        -- Somebody with a history has none with other creators: 0. Without any, nobody knows.
        if(
            empty(history.1),
            {{ var('affinity_without_history_rate') }},
            transform(creator_id, history.1, history.2, 0.0)
        ) as affinity,
        -- No embeddings yet. Null is "not there", which is not 0: its weight goes to the others.
        cast(null, 'Nullable(Float64)') as deep_model

    from candidates

)

select
    signals.video_id as video_id,
    signals.creator_id as creator_id,
    signals.source_rank as source_rank,
    signals.freshness as freshness,
    signals.completion as completion,
    signals.engagement as engagement,
    signals.affinity as affinity,
    signals.deep_model as deep_model,
    toUInt32(round(1000000 * {{
        weighted_mean(['freshness', 'completion', 'engagement', 'affinity', 'deep_model'])
    }})) as score_ppm
from signals
cross join weights
