-- How many follow a user, how many more than a day ago, and a bounded sample of who: whatever asks
-- for the followers of a user reads one row, also when they are a million.
--
-- The sample is those with the smallest hash of the pair: even, the same after every refresh, and
-- independent from one user to the next. As one number, hash first, it is sorted without tuples,
-- which take twenty times as long. Who follows more than anybody can read follows at random, and is
-- in no sample.
--
-- A follow that ended within the day and was made again is no gain: nobody grows by having the same
-- users come and go.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('follower_refresh_seconds'),
    order_by=['user_id'],
    settings={'index_granularity': 16, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

window_start as (

    select {{ run_at() }} - toIntervalHour({{ var('growth_window_hours') }}) as since

),

follows as (

    select
        follower_id,
        followee_id,
        is_standing,
        created_at > (select window_start.since from window_start) as is_new,
        ended_at > (select window_start.since from window_start) as has_ended,
        bitShiftLeft(toUInt128(sipHash64(follower_id, followee_id)), 64) + follower_id
            as drawn_follower

    from {{ source('raw', 'follows_ever') }}

),

unfit as (

    select follower_id as user_id
    from follows
    where is_standing
    group by follower_id
    having count(*) > {{ var('suggestion_most_followings_users') }}
    union all
    select user_id
    from {{ source('raw', 'users_deleted') }}

),

counted as (

    select
        followee_id as user_id,
        countIf(is_standing) as followers,
        toInt64(countIf(is_standing and is_new and not has_ended))
        - toInt64(countIf(not is_standing and has_ended and not is_new)) as gained,
        groupArraySortedIf({{ var('suggestion_followers_sample_users') }})( -- noqa: LT01
            drawn_follower,
            is_standing and follower_id not in (select unfit.user_id from unfit)
        ) as drawn_followers

    from follows
    where
        followee_id not in (select gone.user_id from {{ source('raw', 'users_deleted') }} as gone)
    group by followee_id
    having followers > 0

)

select
    user_id,
    followers,
    gained,
    -- Logarithms: the tenth new follower says more than the ten thousandth.
    if(
        gained > 0,
        log(1 + gained) / log(1 + max(gained) over ()),
        0
    ) as growth,
    arrayMap(drawn -> toUInt64(drawn), drawn_followers) as sampled_followers
from counted
