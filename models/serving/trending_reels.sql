-- The charts: plays and reactions of which videos grew most in the last hour, day and week, against
-- what the windows before led to expect. What does not grow stands behind, by volume. Hours are
-- whole: a window begins at the hour it falls in, and is expected to hold what that is longer.
{%- set windows = {'1h': 1, '24h': 24, '7d': 168} -%}
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('trending_refresh_seconds'),
    order_by=['window', 'rank'],
    settings={'index_granularity': 128},
) }}

with

hours as (

    select
        video_id,
        hour,
        completions + {{ engagement_points('likes', 'shares', 'comments') }} as points

    from {{ source('raw', 'video_ranking_signals_1h') }}
    where
        hour >= toStartOfHour(
            {{ run_at() }}
            - toIntervalHour(
                {{ windows.values() | max }} * (1 + {{ var('trending_baseline_windows') }})
            )
        )

),

cards as (

    select
        video_id,
        published_at

    from {{ ref('video_signals') }}

),

-- One row per video, with all three windows: hours are read once.
videos as (

    select
        video_id,
        [
            {%- for window, hours in windows.items() %}
            {%- set start = 'toStartOfHour(' ~ run_at() ~ ' - toIntervalHour(' ~ hours ~ '))' %}
            {%- set before = windows_before('hour', start, hours) %}
            (
                '{{ window }}',
                sumIf(points, {{ before }} = 0),
                sum(points * {{ baseline_weight(before) }})
                * date_diff('second', {{ start }}, {{ run_at() }}) / (3600 * {{ hours }})
            ){{ ',' if not loop.last }}
            {%- endfor %}
        ] as charts

    from hours
    group by video_id

),

-- An hour's likes may be negative: nobody expects less than nothing.
windows as (

    select
        video_id,
        chart.1 as chart_window,
        chart.2 as points,
        greatest(0, {{ expected_of_baseline('chart.3') }}) as expected_points

    from videos
    array join charts as chart
    where chart.2 > 0

),

grown as (

    select
        windows.chart_window as chart_window,
        windows.points as points,
        windows.expected_points as expected_points,
        {{ growth(
            'windows.points', 'windows.expected_points', var('trending_least_expected_points')
        ) }} as growth,
        cards.video_id as video_id,
        cards.published_at as published_at

    from windows
    inner join cards on windows.video_id = cards.video_id

),

-- Only as many as have a place are put in order: sorting a million videos of three windows takes
-- longer than all the rest.
best as (

    select
        chart_window,
        groupArraySorted({{ var('trending_chart_videos') }})( -- noqa: LT01
            (-growth, -points, -toInt64(video_id), expected_points, published_at)
        ) as places

    from grown
    group by chart_window

)

select
    chart_window as `window`,
    toUInt32(rank) as rank,
    toUInt64(-place.3) as video_id,
    place.5 as published_at,
    -place.2 as points,
    place.4 as expected_points,
    -place.1 as growth,
    {{ run_at() }} as counted_at
from best
array join
    places as place,
    arrayEnumerate(places) as rank
