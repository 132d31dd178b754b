-- video_signals in memory: a ranking looks up a thousand videos at once, by id.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['video_signals'],
    key=['video_id'],
) }}

select
    video_id,
    creator_id,
    published_at,
    completion,
    engagement,
    version,
    1 as is_public
from {{ ref('video_signals') }}
