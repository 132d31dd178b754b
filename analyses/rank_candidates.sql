-- The best of so many candidates by a viewer's score: what ranking itself costs, without finding
-- candidates. They are the first by id, which nobody's taste has chosen.
with

candidates as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement

    from {{ ref('video_signals') }}
    order by video_id
    limit {{ places() }}

),

reactions as (

    select
        creator_id,
        affinity

    from {{ ref('sig_viewer_creator__affinity') }}
    where viewer_id = {{ viewer_id() }}

),

signals as (

    select
        candidates.video_id as video_id,
        {{ quadratic_decay('candidates.published_at', as_of(), var('freshness_span_hours')) }}
            as freshness,
        candidates.completion as completion,
        candidates.engagement as engagement,
        reactions.affinity as affinity,
        weights.weight_freshness as weight_freshness,
        weights.weight_completion as weight_completion,
        weights.weight_engagement as weight_engagement,
        weights.weight_affinity as weight_affinity

    from candidates
    left join reactions on candidates.creator_id = reactions.creator_id
    cross join {{ ref('ranking_weights') }} as weights
    where weights.variant = {{ variant() }}

)

select
    video_id,
    toUInt32(round(1000000 * {{ weighted_mean(
        signals=['freshness', 'completion', 'engagement', 'affinity'], optional=[]
    ) }})) as score_ppm
from signals
order by
    score_ppm desc,
    video_id desc
limit {{ var('feed_videos') }}
