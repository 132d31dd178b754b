-- One row per video that is, or at its publish time will be, public.
with

source as (

    select * from {{ source('raw', 'videos_current') }}

),

published as (

    select
        ---------- keys
        video_id,
        creator_id,

        ---------- what its card shows
        title,
        thumbnail_url,

        ---------- measures
        duration_ms,

        ---------- version
        _version as version,

        ---------- times
        created_at,
        published_at

    from source
    where status = 'published'

)

select
    video_id,
    creator_id,
    title,
    thumbnail_url,
    duration_ms,
    version,
    created_at,
    published_at
from published
