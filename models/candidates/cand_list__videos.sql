-- Every list that candidates are taken from, a row per list and whom it is of, videos in order:
--   creator        a creator's public videos, the newest first
--   trending_24h   the day's chart, the best first
--   trending_7d    the week's
--   newest         the newest of all
-- A list holds what a ranking may take from it, and no more: memory is bounded by creators. Made of
-- videos alone, not of their signals, so that an event moves none.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    order_by=['list', 'id'],
) }}

with

videos as (

    select
        creator_id,
        arrayReverseSort(groupArray((published_at, video_id))) as newest_first

    from {{ ref('stg_raw__videos') }}
    group by creator_id

),

-- One hour more than followees are looked back on: a ranking may be made again as it stood.
creators as (

    select
        'creator' as list,
        creator_id as id,
        tupleElement(
            arrayFilter(
                (video, recency_rank) ->
                recency_rank <= {{ var('affinity_candidates_per_creator_videos') }}
                or recency_rank <= {{ var('followee_candidates_videos') }}
                and video.1
                > {{ run_at() }} - toIntervalHour({{ var('followee_window_hours') }} + 1),
                newest_first,
                arrayEnumerate(newest_first)
            ),
            2
        ) as video_ids

    from videos

),

charts as (

    select
        concat('trending_', `window`) as list,
        toUInt64(0) as id,
        tupleElement(arraySort(groupArray((rank, video_id))), 2) as video_ids

    from {{ ref('trending_reels') }}
    where window in ('24h', '7d')
    group by list

),

newest as (

    select
        'newest' as list,
        toUInt64(0) as id,
        tupleElement(arrayReverseSort(groupArray((published_at, video_id))), 2) as video_ids

    from (
        select
            published_at,
            video_id
        from {{ ref('stg_raw__videos') }}
        order by
            published_at desc,
            video_id desc
        limit {{ var('newest_videos') }}
    ) as videos_by_time

)

select * from creators
union all
select * from charts
union all
select * from newest
