-- cand_list__videos in memory: a ranking reads the lists of a few hundred creators.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['cand_list__videos'],
    key=['list', 'id'],
) }}

select
    list,
    id,
    video_ids
from {{ ref('cand_list__videos') }}
