-- One row per public video of the window that sounds and hashtags trend in, and of those before it
-- that say what is to be expected.
with

-- By the index of publish times, and of any version; what is true now is read by key.
recent as (

    select video_id
    from {{ source('raw', 'videos') }}
    where
        published_at
        >= {{ run_at() }}
        - toIntervalHour(
            {{ var('trending_uses_window_hours') }} * (1 + {{ var('trending_baseline_windows') }})
        )

),

videos as (

    select
        ---------- keys
        video_id,
        creator_id,
        sound_id,

        ---------- what it is labelled with
        category,
        hashtags,

        ---------- times
        {{ windows_before(
            'published_at',
            run_at() ~ ' - toIntervalHour(' ~ var('trending_uses_window_hours') ~ ')',
            var('trending_uses_window_hours'),
        ) }} as windows_before

    from {{ source('raw', 'videos_current') }}
    where
        video_id in (select recent.video_id from recent)
        and status = 'published'
        and published_at <= {{ run_at() }}

),

-- A left join that finds nothing gives 0: nobody has acted.
counters as (

    select
        video_id,
        completions + {{ engagement_points('likes', 'shares', 'comments') }} as points

    from {{ source('raw', 'video_engagement_current') }}
    where
        video_id in (
            select videos.video_id
            from videos
            where videos.windows_before = 0
        )

)

select
    videos.video_id as video_id,
    videos.creator_id as creator_id,
    videos.sound_id as sound_id,
    videos.category as category,
    videos.hashtags as hashtags,
    counters.points as points,
    toUInt16(videos.windows_before) as windows_before
from videos
left join counters on videos.video_id = counters.video_id
where videos.windows_before <= {{ var('trending_baseline_windows') }}
