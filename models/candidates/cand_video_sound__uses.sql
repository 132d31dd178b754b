-- One row per recent video that is made with a sound. A withdrawn sound is not used.
{{ config(materialized='view') }}

with

videos as (

    select * from {{ ref('stg_raw__recent_videos') }}
    where sound_id != 0

),

sounds as (

    select
        sound_id,
        name

    from {{ source('raw', 'sounds_current') }}
    where sound_id in (select videos.sound_id from videos)

)

select
    sounds.sound_id as item,
    sounds.name as name,
    videos.video_id as video_id,
    videos.creator_id as creator_id,
    videos.category as category,
    videos.windows_before as windows_before,
    videos.points as points
from videos
inner join sounds on videos.sound_id = sounds.sound_id
