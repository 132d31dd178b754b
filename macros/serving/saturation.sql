{#- The order of a viewer's posts: the steps from `ranked` to `served`.

    An author has at most one of any `post_saturation_window_places` consecutive places, and one of
    the first `post_saturation_head_places` of a session. Each place goes to the best post not yet
    placed whose author may have it, or, when nobody left may, to the best. Nothing is dropped.
    docs/ranking.md has the rule in words.

    `ranked` has `owner_id`, `item` and `rank`, 1 first; item.3 is the source, 0 for what the session
    was already shown. `served` is one row: `served_items`, in the order of places. -#}
{%- macro saturated_posts() -%}
{%- set window = var('post_saturation_window_places') -%}
{%- set head = var('post_saturation_head_places') -%}
-- The item that must be a window ahead. An owner goes by the rank of their best item.
spaced as (

    select
        item,
        rank,
        lagInFrame(rank, 1, 0) over (
            partition by owner_id
            order by rank
            rows between unbounded preceding and current row
        ) as rank_ahead,
        {{ turn_code('rank', 'min(rank) over (partition by owner_id)') }} as code

    from ranked

),

-- The list as one row of arrays in rank order. Nothing moves before the first item that is too close
-- to the one ahead: often none is.
gathered as (

    select
        arraySort(groupArray((rank, code, item))) as entries,
        countIf(item.3 = 0) as shown_places,
        minIf(
            rank,
            rank_ahead != 0
            and item.3 != 0
            and rank < greatest(rank_ahead + {{ window }}, {{ head }} + 1)
        ) as crowded_rank

    from spaced

),

crowded as (

    select
        tupleElement(entries, 2) as waiting,
        shown_places,
        tupleElement(entries, 3) as items,
        if(crowded_rank = 0, length(entries) + 1, crowded_rank) as crowded_from

    from gathered

),

placed as (

    select
        items,
        {{ places_by_turn('waiting', 'crowded_from', window, head, 'shown_places', var('feed_posts')) }}
            as places

    from crowded

),

served as (

    select
        arraySlice(
            arrayFilter(
                item -> item.3 != 0,
                arraySort((item, place) -> place, items, places)
            ),
            1,
            {{ var('feed_posts') }}
        ) as served_items

    from placed

)
{%- endmacro -%}

{#- Rank and owner of an item as one number, of which the rank is the order: a fold that compares
    numbers costs half of one that compares tuples. Owners go by a rank, so both are below a million. -#}
{%- macro turn_code(rank, owner) -%}
1000000 * {{ rank }} + {{ owner }}
{%- endmacro -%}

{#- Places, turn by turn: each goes to the best item whose owner has none of the places that count,
    which are the last ones or, within the head of a session, all; else to the best item. There are
    as many turns as places that are served; who is left then comes behind.

    The fold carries the codes of those who wait, next first, and of those who were placed. Who is
    next is a matter of order, so of a sort that needs to get no more than the first right: whose
    owner may not have the place comes behind all others. Sorting by code in the end turns "item at
    each place" into "place of each rank"; the fold is an array of one so that it is named once. -#}
{%- macro places_by_turn(waiting, crowded_from, window, head, shown_places, places) -%}
arrayMap(
            turned -> arraySort(
                (place, code) -> code,
                arrayEnumerate({{ waiting }}),
                arrayConcat(turned.2, turned.1)
            ),
            [arrayFold(
                (state, turn) -> (
                    arrayPartialSort(
                        code -> code + 1000000000000 * has(
                            arrayMap(
                                placed -> placed % 1000000,
                                arraySlice(
                                    arrayPushBack(state.2, state.1[1]),
                                    if(
                                        length(state.2) + 1
                                        < {{ head }} - length({{ shown() }}) + {{ shown_places }},
                                        1,
                                        1 - {{ window }}
                                    )
                                )
                            ),
                            code % 1000000
                        ),
                        1,
                        arrayPopFront(state.1)
                    ),
                    arrayPushBack(state.2, state.1[1])
                ),
                arraySlice(
                    {{ waiting }},
                    {{ crowded_from }} - 1,
                    greatest(0, toInt64({{ places }} + {{ shown_places }} + 2) - {{ crowded_from }})
                ),
                (
                    arraySlice({{ waiting }}, {{ crowded_from }} - 1),
                    arraySlice({{ waiting }}, 1, {{ crowded_from }} - 2)
                )
            )]
        )[1]
{%- endmacro -%}

{#- Of the posts shown, those whose places still count. -#}
{%- macro last_shown() -%}
arraySlice(
                    {{ shown() }},
                    1 - greatest(
                        {{ var('post_saturation_window_places') }},
                        {{ var('post_saturation_head_places') }}
                    )
                )
{%- endmacro -%}
