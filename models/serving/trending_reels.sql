-- The charts: what was played and reacted to most in the last hour, day and week. Volume is the
-- point here, so nothing is smoothed. Hours are whole: the window begins at the hour it falls in.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('trending_refresh_seconds'),
    order_by=['window', 'rank'],
    settings={'index_granularity': 128},
) }}

with

hours as (

    select * from {{ source('raw', 'video_ranking_signals_1h') }}

),

cards as (

    select
        video_id,
        published_at

    from {{ ref('video_signals') }}

),

windows as (

    select
        video_id,
        chart.1 as chart_window,
        sum(completions) + {{ engagement_points('sum(likes)', 'sum(shares)', 'sum(comments)') }}
            as points

    from hours
    array join [('1h', 1), ('24h', 24), ('7d', 168)] as chart
    where hour >= toStartOfHour({{ run_at() }} - toIntervalHour(chart.2))
    group by
        video_id,
        chart_window

),

ranked as (

    select
        windows.chart_window as chart_window,
        windows.points as points,
        cards.video_id as video_id,
        cards.published_at as published_at,
        toUInt32(
            row_number() over (
                partition by windows.chart_window
                order by
                    windows.points desc,
                    cards.video_id desc
            )
        ) as rank

    from windows
    inner join cards on windows.video_id = cards.video_id
    where windows.points > 0

)

select
    chart_window as `window`,
    rank,
    video_id,
    published_at,
    points,
    {{ run_at() }} as counted_at
from ranked
where rank <= {{ var('trending_chart_videos') }}
