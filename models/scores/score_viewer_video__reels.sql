-- One row per viewer: their candidates with their five signals and their score, from 0 to a
-- million, as lists of one order.
with

-- A variant nobody defined ranks as `default`: a stale flag must not empty a feed.
signals as (

    select
        viewer_id,
        video_ids,
        source_ranks,
        video_signals.1 as creator_ids,
        arrayMap(
            published_at ->
            {{ quadratic_decay('published_at', as_of(), var('freshness_span_hours')) }},
            video_signals.2
        ) as freshness,
        video_signals.3 as completion,
        video_signals.4 as engagement,
        -- "No history" is not "none with this creator"; the most is the first.
        arrayMap(
            creator_id -> if(
                empty(reactions),
                {{ var('affinity_without_history_rate') }},
                reactions.1[indexOf(reactions.2, creator_id)] / reactions.1[1]
            ),
            video_signals.1
        ) as affinity,
        -- Null is "not there", which is not 0: its weight goes to the others.
        arrayMap(
            vector -> if(
                empty(viewer_place.2) or empty(vector),
                null,
                least(
                    1,
                    greatest(0, (1 + {{ likeness('viewer_place.2', 'vector') }} / (127 * 127)) / 2)
                )
            ),
            arrayMap(
                video_id -> {{ vector_of(video_key('video_id', 'viewer_place.1')) }},
                video_ids
            )
        ) as deep_model,
        {{ weights_of(variant_of('viewer_id')) }} as weights

    from {{ ref('cand_viewer_video__reels') }}

)

select
    viewer_id,
    video_ids,
    source_ranks,
    creator_ids,
    freshness,
    completion,
    engagement,
    affinity,
    deep_model,
    arrayMap(
        (freshness, completion, engagement, affinity, deep_model) ->
        toUInt32(round(1000000 * {{ weighted_mean(
            signals=['freshness', 'completion', 'engagement', 'affinity'],
            optional=['deep_model'],
            weights='weights',
        ) }})),
        freshness,
        completion,
        engagement,
        affinity,
        deep_model
    ) as scores_ppm
from signals
