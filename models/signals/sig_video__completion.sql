-- How much of a video is played when it is played, pulled towards the house average while it has
-- few views. A view whose completion was not reported says nothing about it and is left out.
with

plays as (

    select
        video_id,
        sum(completions) as completions,
        sum(known_completions) as known_completions

    from {{ source('raw', 'video_ranking_signals_1h') }}
    group by video_id

),

smoothed as (

    select
        video_id,
        known_completions,
        {{ smoothed_rate(
            'completions', 'known_completions',
            prior_rate=var('completion_prior_rate'),
            prior_weight=var('completion_prior_views'),
        ) }} as completion

    from plays

)

select
    video_id,
    known_completions,
    completion
from smoothed
