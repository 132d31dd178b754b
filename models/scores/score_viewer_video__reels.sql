-- Every candidate with its five signals and its score, from 0 to a million.
with

-- A variant nobody defined ranks as `default`: a stale flag must not empty a feed.
weighted as (

    select
        *,
        {{ lookup(
            ref('dict_ranking_weights'),
            [
                'weight_freshness',
                'weight_completion',
                'weight_engagement',
                'weight_affinity',
                'weight_deep_model',
            ],
            "if(" ~ lookup(ref('dict_ranking_weights'), 'is_defined', 'variant', keys='variant')
            ~ " = 1, variant, 'default')",
            keys='variant',
        ) }} as weights

    from {{ ref('cand_viewer_video__reels') }}

),

-- Signals first, their sum in a step of its own: ClickHouse analyses an alias anew at each use.
signals as (

    select
        viewer_id,
        shown,
        video_id,
        creator_id,
        source_rank,
        {{ quadratic_decay('published_at', as_of(), var('freshness_span_hours')) }} as freshness,
        completion,
        engagement,
        -- Lists tell "no history" (empty) from "none with this creator"; the most is the first.
        if(
            empty(reaction_points),
            {{ var('affinity_without_history_rate') }},
            reaction_points[indexOf(reacted_creators, creator_id)] / reaction_points[1]
        ) as affinity,
        deep_model,
        weights.1 as weight_freshness,
        weights.2 as weight_completion,
        weights.3 as weight_engagement,
        weights.4 as weight_affinity,
        weights.5 as weight_deep_model

    from weighted

)

select
    viewer_id,
    shown,
    video_id,
    creator_id,
    source_rank,
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
