-- One row per public video: what a model server is told of it, a column per input of the model.
-- Inputs have one shape whatever the video: so hashtags are one text.
{{ config(materialized='view') }}

with

videos as (

    select * from {{ source('raw', 'videos_current') }}

),

looked_up as (

    select
        video_id,
        landed_at as changed_at,
        title,
        description,
        arrayStringConcat(hashtags, ' ') as hashtags,
        category,
        creator_id,
        sound_id,
        duration_ms / 1000 as duration_seconds,
        {{ lookup(
            ref('dict_video_signals'),
            ['completion', 'engagement'],
            'video_id',
            keys='video_id',
            otherwise='(' ~ var('completion_prior_rate') ~ ', ' ~ var('engagement_prior_rate') ~ ')',
        ) }} as rates
    from videos
    where status = 'published'

)

select
    video_id,
    changed_at,
    title,
    description,
    hashtags,
    category,
    creator_id,
    sound_id,
    duration_seconds,
    rates.1 as completion,
    rates.2 as engagement
from looked_up
