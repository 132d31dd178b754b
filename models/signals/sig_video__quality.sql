-- How a video is received: how much of it is played when it is played, and how often a view turns
-- into a like, share or comment. Both are pulled towards the house average while it has few views
-- (one like on one view is not a 100 % video); a view whose completion was not reported says
-- nothing about completion and is left out there.
--
-- Exact up to what has landed: a video whose hours changed after its totals were counted, or while
-- they were (`video_changes_settle_seconds`), is counted from its hours. A refresh of the totals
-- between two reads of them costs their age once more.
with

changed as (

    select video_id
    from {{ source('raw', 'video_changes_1m') }}
    where
        at_minute >= toStartOfMinute(
            (select max(whole.counted_at) from {{ ref('sig_video__totals') }} as whole)
            - toIntervalSecond(
                {{ var('video_totals_refresh_seconds') + var('video_changes_settle_seconds') }}
            )
        )

),

totals as (

    select
        video_id,
        views,
        completions,
        known_completions,
        likes,
        shares,
        comments

    from {{ ref('sig_video__totals') }}
    where video_id not in (select changed.video_id from changed)

    union all

    select
        video_id,
        sum(views) as views,
        sum(completions) as completions,
        sum(known_completions) as known_completions,
        sum(likes) as likes,
        sum(shares) as shares,
        sum(comments) as comments

    from {{ source('raw', 'video_ranking_signals_1h') }}
    where video_id in (select changed.video_id from changed)
    group by video_id

),

reactions as (

    select
        video_id,
        views,
        completions,
        known_completions,
        {{ engagement_points('likes', 'shares', 'comments') }} as points

    from totals

),

smoothed as (

    select
        video_id,
        views,
        known_completions,
        {{ smoothed_rate(
            'completions', 'known_completions',
            prior_rate=var('completion_prior_rate'),
            prior_weight=var('completion_prior_views'),
        ) }} as completion,
        {{ smoothed_rate(
            'points', 'views',
            prior_rate=var('engagement_prior_rate'),
            prior_weight=var('engagement_prior_views'),
        ) }} as engagement

    from reactions

)

select
    video_id,
    known_completions,
    completion,
    views,
    engagement
from smoothed
