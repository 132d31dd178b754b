{#- What is wrong in the posts feeds of some viewers who have seen posts, as an array for ClickHouse:
    (viewer, problem, post). Each feed is asked for by itself, as the API does, all as of one
    instant: what happens after it is no fault, nor is what no refresh could have taken in by then. -#}
{%- macro broken_posts_feeds(viewers) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set chosen = run_query(
            "select user_id from " ~ source('raw', 'user_watch_history')
            ~ " where item_type = 'post' group by user_id order by cityHash64(user_id) limit "
            ~ viewers
        ) -%}
        {%- set as_of = "toDateTime64('" ~ run_query(
            "select toString(now64(3, 'UTC'))"
        ).columns[0].values()[0] ~ "', 3, 'UTC')" -%}
        {%- for viewer in chosen.columns[0].values() -%}
            {%- set feed = run_query(
                "select position, post_id, author_id from " ~ ref('feed__posts') ~ "(viewer_id = "
                ~ viewer ~ ", as_of = " ~ as_of ~ ", variant = 'default') order by position"
            ) -%}
            {%- set post_ids = feed.columns[1].values() | map('int') | list -%}
            {%- set author_ids = feed.columns[2].values() | map('int') | list -%}
            {%- for row in run_query(posts_feed_problems(viewer, as_of, post_ids, author_ids)).rows -%}
                {%- do found.append("(" ~ viewer ~ ", '" ~ row[0] ~ "', " ~ row[1] ~ ")") -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return("cast([" ~ found | join(', ') ~ "] as Array(Tuple(UInt64, String, UInt64)))") }}
{%- endmacro -%}

{#- One row per thing that is wrong in a viewer's posts feed, given as lists in its order: what it is,
    and the post. Two of an author are too near only where a post that comes later might stand. -#}
{%- macro posts_feed_problems(viewer, as_of, post_ids, author_ids) -%}
with

places as (

    select
        post_ids[place] as post_id,
        author_ids[place] as author_id,
        place as position,
        if(
            place <= {{ var('post_saturation_head_places') }},
            arraySlice(author_ids, 1, place - 1),
            arraySlice(
                author_ids,
                greatest(1, place - {{ var('post_saturation_window_places') - 1 }}),
                least(place, {{ var('post_saturation_window_places') }}) - 1
            )
        ) as near_author_ids,
        arraySlice(author_ids, place + 1) as later_author_ids
    from (
        select
            cast({{ post_ids }} as Array(UInt64)) as post_ids,
            cast({{ author_ids }} as Array(UInt64)) as author_ids
    ) as listed
    array join arrayEnumerate(post_ids) as place

)

select
    'too near to another of its author' as wrong,
    post_id
from places
where
    has(near_author_ids, author_id)
    and arrayExists(later -> not has(near_author_ids, later), later_author_ids)

union all

select
    'comes twice' as wrong,
    post_id
from places
group by post_id
having count() > 1

union all

select
    'was seen' as wrong,
    item_id as post_id
from {{ source('raw', 'user_watch_history') }}
where
    user_id = {{ viewer }}
    and item_type = 'post'
    and item_id in (select arrayJoin(cast({{ post_ids }} as Array(UInt64))))
group by item_id
having
    max(watched_at) > {{ as_of }} - toIntervalDay({{ var('seen_window_days') }})
    and max(watched_at) <= {{ as_of }}

union all

select
    'is of no interest to them' as wrong,
    post_id
from {{ source('raw', 'not_interested_posts_current') }}
where
    user_id = {{ viewer }}
    and landed_at <= {{ as_of }}
    and post_id in (select arrayJoin(cast({{ post_ids }} as Array(UInt64))))

union all

select
    'is their own, or of somebody in a block with them' as wrong,
    post_id
from places
where author_id in (
    select {{ viewer }}
    union all
    select if(blocker_id = {{ viewer }}, blocked_id, blocker_id)
    from {{ source('raw', 'blocks_current') }}
    where
        {{ viewer }} in (blocker_id, blocked_id)
        and landed_at <= {{ as_of }} - toIntervalSecond(
            if(blocker_id = {{ viewer }}, 0, {{ var('trending_refresh_seconds') }})
        )
)

union all

select
    'is deleted, or no post' as wrong,
    post_id
from places
where post_id not in (
    select post_id
    from {{ source('raw', 'posts') }} final
    where
        post_id in (select arrayJoin(cast({{ post_ids }} as Array(UInt64))))
        and (
            not deleted
            or landed_at > {{ as_of }} - toIntervalSecond({{ var('post_refresh_seconds') }})
        )
)
{%- endmacro -%}
