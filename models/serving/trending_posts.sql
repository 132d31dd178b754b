-- The charts: what most accounts reacted to in the last hour, day and week. An account is one,
-- however often it acts: per post, kind of reaction and window it counts once, if in that window it
-- did it more often than it took it back. A window begins with the minute it falls in.
{%- set hours = {'1h': 1, '24h': 24, '7d': 168} -%}
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('trending_posts_refresh_seconds'),
    order_by=['window', 'rank'],
    settings={'index_granularity': 128},
) }}

with

minutes as (

    select * from {{ source('raw', 'post_actors_1m') }}
    where at_minute >= toStartOfMinute({{ run_at() }} - toIntervalHour({{ hours.values() | max }}))

),

posts as (

    select
        post_id,
        author_id,
        created_at

    from {{ source('raw', 'posts_current') }}
    where post_id in (select minutes.post_id from minutes)

),

-- One row per account, post and window.
actors as (

    select
        post_id,
        user_id,
        window_hours,
        sum(likes) > 0 as is_liking,
        sum(comments) > 0 as is_commenting,
        sum(shares) > 0 as is_sharing

    from minutes
    array join cast({{ hours.values() | list }}, 'Array(UInt8)') as window_hours
    where at_minute >= toStartOfMinute({{ run_at() }} - toIntervalHour(window_hours))
    group by
        post_id,
        user_id,
        window_hours

),

windows as (

    select
        post_id,
        window_hours,
        toFloat64(
            {{ post_engagement_points(
                'countIf(is_liking)', 'countIf(is_commenting)', 'countIf(is_sharing)'
            ) }}
        ) as points

    from actors
    group by
        post_id,
        window_hours

),

ranked as (

    select
        transform(
            windows.window_hours, {{ hours.values() | list }}, {{ hours.keys() | list }}, ''
        ) as chart_window,
        windows.points as points,
        posts.post_id as post_id,
        posts.author_id as author_id,
        posts.created_at as created_at,
        toUInt32(
            row_number() over (
                partition by windows.window_hours
                order by
                    windows.points desc,
                    posts.post_id desc
            )
        ) as rank

    from windows
    inner join posts on windows.post_id = posts.post_id
    where windows.points > 0

)

select
    chart_window as `window`,
    rank,
    post_id,
    author_id,
    created_at,
    points,
    {{ run_at() }} as counted_at
from ranked
where rank <= {{ var('trending_chart_posts') }}
settings max_bytes_before_external_group_by = {{ var('trending_posts_spill_bytes') }}
