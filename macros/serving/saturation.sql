{#- The order of a viewer's list: the steps from `ranked` to `served`, by the surface's rule.

    An owner (a reel's creator, a post's author) has at most `per_owner` of any `window` consecutive
    places, nor more of the first `head` places of a session. Each place goes to the best item not
    yet placed whose owner may have it. `if_nobody` says what becomes of a place that nobody left
    may have: it is closed up and who is left in the end comes behind, or the best item takes it all
    the same. Nothing is dropped. docs/ranking.md has both rules in words.

    `ranked` has `owner_id`, `item` and `rank`, 1 first; item.3 is the source, 0 for what the session
    was already shown. `served` is one row: `served_items`, in the order of places. -#}
{%- macro saturated(surface) -%}
{%- set rule = {
    'reels': {
        'window': var('saturation_window_places'),
        'per_owner': var('saturation_per_creator_places'),
        'head': none,
        'if_nobody': 'close',
        'places': var('feed_videos'),
    },
    'posts': {
        'window': var('post_saturation_window_places'),
        'per_owner': 1,
        'head': var('post_saturation_head_places'),
        'if_nobody': 'take',
        'places': var('feed_posts'),
    },
}[surface] -%}
-- The item that must be a window ahead: for two places per owner, their last but one. An owner goes
-- by the rank of their best item.
spaced as (

    select
        item,
        rank,
        lagInFrame(rank, {{ rule.per_owner }}, 0) over (
            partition by owner_id
            order by rank
            rows between unbounded preceding and current row
        ) as rank_ahead
        {%- if rule.if_nobody == 'take' %},
        {{ turn_code('rank', 'min(rank) over (partition by owner_id)') }} as code
        {%- endif %}

    from ranked

),

-- The list as one row of arrays in rank order. Nothing moves before the first item that is too close
-- to the one ahead: often none is.
gathered as (

    select
        arraySort(groupArray(
            (rank, {{ 'code' if rule.if_nobody == 'take' else 'rank_ahead' }}, item)
        )) as entries,
        {%- if rule.head %}
        countIf(item.3 = 0) as shown_places,
        {%- endif %}
        minIf(
            rank,
            rank_ahead != 0
            {%- if rule.head %}
            and item.3 != 0
            and rank < greatest(rank_ahead + {{ rule.window }}, {{ rule.head }} + 1)
            {%- else %}
            and rank < rank_ahead + {{ rule.window }}
            {%- endif %}
        ) as crowded_rank

    from spaced

),

crowded as (

    select
        {%- if rule.if_nobody == 'take' %}
        tupleElement(entries, 2) as waiting,
        shown_places,
        {%- else %}
        tupleElement(entries, 2) as ranks_ahead,
        {%- endif %}
        tupleElement(entries, 3) as items,
        if(crowded_rank = 0, length(entries) + 1, crowded_rank) as crowded_from

    from gathered

),

placed as (

    select
        items,
        {% if rule.if_nobody == 'take' -%}
        {{ places_by_turn('waiting', 'crowded_from', rule.window, rule.head, 'shown_places', rule.places) }}
        {%- else -%}
        {{ places_behind('ranks_ahead', 'crowded_from', rule.window) }}
        {%- endif %} as places

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
            {{ rule.places }}
        ) as served_items

    from placed

)
{%- endmacro -%}

{#- Places, item by item, best first: each takes the earliest free place a window behind the item
    ahead of it. Behind the last place there are as many again, for those who find none.

    The fold carries a text with a mark per place ('.' is free: `position` finds the next, `overlay`
    takes it) and the places so far. Places begin at `window`, so that an item with none ahead of it
    (rank 0, at "place" 0) may have the first. -#}
{%- macro places_behind(ranks_ahead, last_rank, window) -%}
arrayPopFront(arrayFold(
            (state, rank_ahead) -> (
                overlay(state.1, '#', {{ earliest_place('state', 'rank_ahead', last_rank, window) }}),
                arrayPushBack(state.2, {{ earliest_place('state', 'rank_ahead', last_rank, window) }})
            ),
            {{ ranks_ahead }},
            (
                concat(repeat('#', {{ window }} - 1), repeat('.', 2 * {{ last_rank }})),
                [toUInt64(0)]
            )
        ).2)
{%- endmacro -%}

{#- The earliest free place a window behind the place of `rank_ahead`. -#}
{%- macro earliest_place(state, rank_ahead, last_rank, window) -%}
position(
                    {{ state }}.1,
                    '.',
                    least({{ state }}.2[{{ rank_ahead }} + 1], {{ last_rank }}) + {{ window }}
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
