-- chart__posts(chart_window, places): a window's chart as it is shown, one row per place. Read by
-- key: a post that was deleted since the chart was counted leaves it as soon as that has landed,
-- and those behind it move up.
{{ config(materialized='parameterized_view') }}

with

chart as (

    select
        rank,
        post_id,
        author_id,
        created_at,
        points,
        counted_at

    from {{ ref('trending_posts') }}
    where
        window = {{ chart_window() }}
        and rank <= {{ places() }} + {{ var('trending_chart_spare_posts') }}

),

standing as (

    select post_id

    from {{ source('raw', 'posts_current') }}
    where post_id in (select chart.post_id from chart)

),

shown as (

    select
        chart.post_id as post_id,
        chart.author_id as author_id,
        chart.created_at as created_at,
        chart.points as points,
        chart.counted_at as counted_at,
        row_number() over (order by chart.rank) as rank

    from chart
    inner join standing on chart.post_id = standing.post_id

),

counters as (

    select
        post_id,
        likes,
        comments,
        shares,
        exposures,
        dwell_ms

    from {{ source('raw', 'post_engagement_current') }}
    where post_id in (select chart.post_id from chart)

)

select
    shown.post_id as post_id,
    shown.author_id as author_id,
    shown.created_at as created_at,
    shown.points as points,
    shown.counted_at as counted_at,
    counters.likes as likes,
    counters.comments as comments,
    counters.shares as shares,
    counters.exposures as exposures,
    counters.dwell_ms as dwell_ms_sum,
    shown.rank as rank
from shown
left join counters on shown.post_id = counters.post_id
where shown.rank <= {{ places() }}
