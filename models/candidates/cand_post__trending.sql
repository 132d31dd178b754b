-- Every place on the day's and the week's chart, with the post as it is now: the chart is counted
-- every minute, but what a post scores must not wait for that.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('post_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['post_cards'],
    order_by=['window', 'rank'],
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

chart as (

    select
        window,
        rank,
        post_id

    from {{ ref('trending_posts') }}
    where window in ('24h', '7d')

),

cards as (

    select
        post_id,
        author_id,
        created_at,
        engagement,
        {{ post_card() }} as card

    from {{ ref('post_cards') }}
    where post_id in (select chart.post_id from chart)

)

select
    chart.window as `window`,
    chart.rank as rank,
    cards.post_id as post_id,
    cards.author_id as author_id,
    cards.created_at as created_at,
    cards.engagement as engagement,
    cards.card as card
from chart
inner join cards on chart.post_id = cards.post_id
