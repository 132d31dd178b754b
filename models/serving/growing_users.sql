-- Whose followers grew most in the last day, of all users and of those with a public video: who is
-- shown to somebody nothing is known about. Where nobody grew, whom most follow, then whose videos
-- were viewed most.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('follower_refresh_seconds'),
    refresh_after=['sig_user__followers'],
    order_by=['chart', 'rank'],
    settings={'index_granularity': 128},
) }}

with

followed as (

    select
        user_id,
        followers,
        gained,
        growth,
        0 as is_creator,
        0 as views

    from {{ ref('sig_user__followers') }}

),

creators as (

    select
        creator_id as user_id,
        0 as followers,
        0 as gained,
        0 as growth,
        1 as is_creator,
        sum(view_count) as views

    from {{ ref('reel_cards') }}
    where
        published_at <= {{ run_at() }}
        and creator_id not in (
            select gone.user_id from {{ source('raw', 'users_deleted') }} as gone
        )
    group by creator_id

),

ends as (

    select * from followed
    union all
    select * from creators

),

users as (

    select
        user_id,
        sum(followers) as user_followers,
        sum(gained) as user_gained,
        max(growth) as user_growth,
        sum(views) as user_views,
        max(is_creator) as is_creator

    from ends
    group by user_id

),

charted as (

    select
        chart,
        user_id,
        user_followers,
        user_gained,
        user_growth,
        row_number() over (
            partition by chart
            order by
                user_gained desc,
                user_followers desc,
                user_views desc,
                user_id desc
        ) as rank

    from users
    array join if(is_creator, ['users', 'creators'], ['users']) as chart

)

select
    chart,
    user_id,
    toUInt32(rank) as rank,
    toUInt64(user_followers) as followers,
    toInt64(user_gained) as gained,
    toFloat64(user_growth) as growth
from charted
where rank <= {{ var('growing_chart_users') }}
