-- One row per recent video and hashtag it has: the same one only once, however often and in which
-- spellings. Of several the first one counts.
{{ config(materialized='view') }}

with

videos as (

    select * from {{ ref('stg_raw__recent_videos') }}

),

folded as (

    select
        video_id,
        creator_id,
        category,
        windows_before,
        points,
        hashtags,
        arrayMap(hashtag -> {{ folded('hashtag') }}, hashtags) as folded_hashtags

    from videos

),

labelled as (

    select
        video_id,
        creator_id,
        category,
        windows_before,
        points,
        arrayJoin(
            arrayMap(
                hashtag -> (hashtag, hashtags[indexOf(folded_hashtags, hashtag)]),
                arrayFilter(hashtag -> hashtag != '', arrayDistinct(folded_hashtags))
            )
        ) as hashtag

    from folded

)

select
    hashtag.1 as item,
    hashtag.2 as name,
    video_id,
    creator_id,
    category,
    windows_before,
    points
from labelled
