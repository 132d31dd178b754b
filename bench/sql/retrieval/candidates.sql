-- The candidates of some viewers as feeds rank them, best first, and why each was considered.
with

ranked as (

    select
        viewer_id,
        position,
        video_id,
        toString(source) as source

    from nova.feed__reels( -- noqa: LT02
        viewer_ids = {viewers:Array(UInt64)}, -- noqa: LT02
        as_of = {as_of:DateTime64(3, 'UTC')}, -- noqa: LT02
        variants = {variants:Array(String)}, -- noqa: LT02
        shown = {shown:Array(Array(UInt64))} -- noqa: LT02
    ) -- noqa: LT02

)

select
    viewer_id,
    tupleElement(arraySort(groupArray((position, video_id))), 2) as video_ids,
    tupleElement(arraySort(groupArray((position, source))), 2) as sources
from ranked
group by viewer_id
