-- One row per place in a viewer's list: every score rounded, every rule of order applied. The body
-- of feed__posts and feed__posts_after.
{{ config(materialized='ephemeral') }}

with

-- A post deleted since it was shown keeps its place, and so does one that is not known here (yet):
-- it is nobody's, which is a number no id has.
shown_posts as (

    select
        post_id,
        min(author_id) as author_id
    from (
        select
            post_id,
            author_id
        from {{ source('raw', 'posts') }}
        -- Of a constant array that is empty, `in` would read every post.
        where post_id in (select arrayJoin({{ last_shown() }}))

        union all

        select
            arrayJoin({{ last_shown() }}) as post_id,
            toUInt64(18446744073709551615) as author_id
    ) as authors
    group by post_id

),

-- The last places already shown lead the list, in their order, and are taken off again at the end:
-- saturation goes on where the session left it.
listed as (

    select
        post_id,
        author_id,
        source_rank,
        score_ppm,
        card,
        0 as shown_place
    from {{ ref('score_viewer_post__posts') }}

    union all

    select
        post_id,
        author_id,
        0 as source_rank,
        0 as score_ppm,
        defaultValueOfTypeName({{ post_card_type() }}) as card,
        indexOf({{ shown() }}, post_id) as shown_place
    from shown_posts

),

ranked as (

    select
        author_id as owner_id,
        (post_id, author_id, source_rank, score_ppm, card) as item,
        row_number() over (
            order by
                source_rank = 0 desc,
                shown_place,
                score_ppm desc,
                post_id desc
        ) as rank

    from listed

),

{{ saturated_posts() }}

select
    position,
    item.1 as post_id,
    item.2 as author_id,
    item.4 as score_ppm,
    toLowCardinality(
        ['followee', 'trending', 'affinity', 'fill_trending', 'fill_newest'][item.3]
    ) as source,
    tupleElement(item.5, 'created_at') as created_at,
    tupleElement(item.5, 'likes') as likes,
    tupleElement(item.5, 'comments') as comments,
    tupleElement(item.5, 'shares') as shares,
    tupleElement(item.5, 'exposures') as exposures,
    tupleElement(item.5, 'dwell_ms_sum') as dwell_ms_sum
from served
array join
    served_items as item,
    arrayEnumerate(served_items) as position
