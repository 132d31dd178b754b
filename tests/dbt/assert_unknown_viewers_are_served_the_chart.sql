-- Fails with the videos at the top of the day's chart that a viewer nobody knows is not served, and
-- with places that are missing or taken twice. The largest id is nobody's.
-- depends_on: {{ ref('feed__reels') }}
with

served as (

    select
        position,
        video_id
    from
        {{ ref('feed__reels') }}(
            viewer_ids = [18446744073709551615],
            as_of = now64(3, 'UTC'),
            variants = ['default'],
            shown = [[]]
        )

),

chart as (

    select video_id
    from {{ ref('trending_reels') }}
    where
        window = '24h'
        and rank <= 10
        and published_at < {{ run_at() }} - toIntervalMinute(10)

)

select
    'not served' as problem,
    chart.video_id as video_id
from chart
left anti join served on chart.video_id = served.video_id

union all

select
    'wrong place' as problem,
    max(served.video_id) as video_id
from served
having
    count() != uniqExact(served.video_id)
    or count() != uniqExact(served.position)
    or count() != max(served.position)
