-- Every place on the day's and the week's chart, with the video as it is now: the chart is counted
-- every minute, but what a video scores must not wait for that.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['reel_cards'],
    order_by=['window', 'rank'],
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

chart as (

    select
        window,
        rank,
        video_id

    from {{ ref('trending_reels') }}
    where window in ('24h', '7d')

),

cards as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        {{ reel_card() }} as card

    from {{ ref('reel_cards') }}
    where video_id in (select chart.video_id from chart)

)

select
    chart.window as `window`,
    chart.rank as rank,
    cards.video_id as video_id,
    cards.creator_id as creator_id,
    cards.published_at as published_at,
    cards.completion as completion,
    cards.engagement as engagement,
    cards.card as card
from chart
inner join cards on chart.video_id = cards.video_id
