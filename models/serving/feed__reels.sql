-- feed__reels(viewer_ids, as_of, variants, shown): the ranked reels of some viewers as they stood
-- at `as_of`, one row per viewer and place. The i-th viewer is ranked by the i-th variant, and
-- without the i-th list of videos, which their session was shown, in the order they were shown.
--
-- A creator has at most two of any ten consecutive places. Each video, best first, takes the
-- earliest free place that is ten behind its creator's last but one; nothing is dropped.
-- docs/ranking.md has the rule in words.
{{ config(materialized='parameterized_view') }}

{%- set per_creator = var('saturation_per_creator_places') -%}

-- The last places already shown lead the list, in their order, and are taken off again at the end:
-- saturation goes on where the session left it.
{%- set shown_before -%}
arrayMap(
                    video -> (0, video.1, video.2.1, 0),
                    arrayFilter(
                        video -> video.2.5 = 1,
                        arrayMap(
                            video_id -> (video_id, {{ signals_of('video_id') }}),
                            arraySlice({{ shown_to('viewer_id') }}, -{{ var('saturation_window_places') }} + 1)
                        )
                    )
                )
{%- endset -%}

-- Late items as: where the next at ease would be (in the places left, behind their 0), and where the
-- one ahead is, among those at ease or among the late; the other is 1, whose place is 0.
{%- set late -%}
arrayMap(
                late -> (
                    late.1 + 2,
                    if(nth[late.2] <= {{ per_creator }}, at_ease[late.2] + 1, 1),
                    if(nth[late.2] <= {{ per_creator }}, 1, late.2 - at_ease[late.2] + 1)
                ),
                late
            )
{%- endset -%}

-- The earliest free place from where the next at ease would be, and ten behind the one ahead.
{%- set place_of_late -%}
position(
                    state.1,
                    '.',
                    greatest(
                        state.2[late.1],
                        least(
                            greatest(state.2[late.2], state.3[late.3])
                            + {{ var('saturation_window_places') }},
                            toUInt64(length(items) + 1)
                        )
                    )
                )
{%- endset %}

with

-- As (score, video, creator, source): higher score first, and the larger id among equals.
ranked as (

    select
        viewer_id,
        arraySlice(
            arrayConcat(
                {{ shown_before }},
                arrayReverseSort(arrayZip(scores_ppm, video_ids, creator_ids, source_ranks))
            ),
            1,
            {{ var('feed_videos') }} + {{ var('saturation_reserve_videos') }}
        ) as items

    from {{ ref('score_viewer_video__reels') }}

),

-- The how-manieth of its creator's each item is, and how many up to it are at ease: the first two
-- of each creator, who wait for nobody and take the places that the others leave, in their order.
counted as (

    select
        viewer_id,
        items,
        arrayEnumerateUniq(items.3) as nth,
        arrayMap(
            (creator, nth) -> 1000 * creator + nth,
            arrayEnumerateDense(items.3),
            arrayEnumerateUniq(items.3)
        ) as numbers,
        arrayCumSum(
            nth -> nth <= {{ per_creator }},
            arrayEnumerateUniq(items.3)
        ) as at_ease

    from ranked

),

-- The others, who are placed one by one: how many at ease are before them, and the item they must
-- be ten places behind, their creator's last but one.
waiting as (

    select
        viewer_id,
        items,
        nth,
        at_ease,
        arrayMap(
            (number, before) -> (
                before,
                indexOf(numbers, number - {{ per_creator }})
            ),
            arrayFilter((number, nth) -> nth > {{ per_creator }}, numbers, nth),
            arrayFilter((before, nth) -> nth > {{ per_creator }}, at_ease, nth)
        ) as late

    from counted

),

-- What the fold carries: a mark per place, '.' where nobody late is; the places left to those at
-- ease, and those of the late, each behind a 0. Behind the last place there are as many again, for
-- those who find none.
placed as (

    select
        viewer_id,
        arrayFilter((item, nth) -> nth <= {{ per_creator }}, items, nth)
            as items_at_ease,
        arrayFilter((item, nth) -> nth > {{ per_creator }}, items, nth)
            as items_late,
        arrayFold(
            (state, late) -> (
                overlay(state.1, '#', {{ place_of_late }}),
                arrayRemove(state.2, {{ place_of_late }}),
                arrayPushBack(state.3, {{ place_of_late }})
            ),
            {{ late }},
            (
                repeat('.', 2 * length(items)),
                range(toUInt64(0), toUInt64(2 * length(items) + 1)),
                [toUInt64(0)]
            )
        ) as places

    from waiting

),

served as (

    select
        viewer_id,
        arraySlice(
            arrayFilter(
                item -> item.4 != 0,
                tupleElement(
                    arraySort(
                        arrayConcat(
                            arrayZip(
                                arraySlice(places.2, 2, length(items_at_ease)),
                                items_at_ease
                            ),
                            arrayZip(arrayPopFront(places.3), items_late)
                        )
                    ),
                    2
                )
            ),
            1,
            {{ var('feed_videos') }}
        ) as served_items

    from placed

)

select
    viewer_id,
    position,
    item.2 as video_id,
    item.3 as creator_id,
    item.1 as score_ppm,
    toLowCardinality(
        [
            'followee', 'trending', 'affinity', 'deep_recall', 'fill_trending', 'fill_newest'
        ][item.4]
    ) as source
from served
array join
    served_items as item,
    arrayEnumerate(served_items) as position
