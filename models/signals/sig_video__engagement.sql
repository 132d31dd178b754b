-- How often a view turns into a like, share or comment, pulled towards the house average while a
-- video has few views (one like on one view is not a 100 % video).
with

reactions as (

    select
        video_id,
        sum(views) as views,
        {{ engagement_points('sum(likes)', 'sum(shares)', 'sum(comments)') }} as points

    from {{ source('raw', 'video_ranking_signals_1h') }}
    group by video_id

),

smoothed as (

    select
        video_id,
        views,
        {{ smoothed_rate(
            'points', 'views',
            prior_rate=var('engagement_prior_rate'),
            prior_weight=var('engagement_prior_views'),
        ) }} as engagement

    from reactions

)

select
    video_id,
    views,
    engagement
from smoothed
