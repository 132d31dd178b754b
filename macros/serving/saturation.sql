{#- The list of a viewer, place by place: each goes to the best item still waiting whose owner may
    have it. docs/ranking.md has both rules in words.

    An owner (a reel's creator, a post's author) has at most `per_owner` of any `window` consecutive
    places, nor more of the first `head` of a session. A place that nobody who waits may have goes
    to the best of them `always`; or else it stays empty, there are as many places as items, and in
    the end it is closed up and those who still wait come behind. Nothing is dropped.

    Reads `ranked`: `owner_id`, `item` and `rank`, 1 first; item.3 is the source, 0 for what the
    session was already shown. Ends in `served`: one row, `served_items` in the order of places. -#}
{%- macro saturated(surface) -%}
{%- set rule = {
    'reels': {
        'window': var('saturation_window_places'),
        'per_owner': var('saturation_per_creator_places'),
        'head': none,
        'always': false,
        'places': var('feed_videos'),
    },
    'posts': {
        'window': var('post_saturation_window_places'),
        'per_owner': var('post_saturation_per_author_places'),
        'head': var('post_saturation_head_places'),
        'always': true,
        'places': var('feed_posts'),
    },
}[surface] -%}
-- An owner goes by the rank of their best item. The item `per_owner` before is the one that must be
-- a window ahead.
spaced as (

    select
        item,
        rank,
        min(rank) over (
            partition by owner_id
            order by rank
            rows between unbounded preceding and current row
        ) as owner,
        lagInFrame(rank, {{ rule.per_owner }}, 0) over (
            partition by owner_id
            order by rank
            rows between unbounded preceding and current row
        ) as rank_ahead

    from ranked

),

-- The list as one row of arrays in rank order. Nothing moves before the first item that is too close
-- to the one ahead: often none is.
gathered as (

    select
        arraySort(groupArray(((toUInt16(rank), toUInt16(owner)), item))) as entries,
        minIf(
            rank,
            rank_ahead != 0
            {% if rule.head -%}
            and item.3 != 0
            and rank < greatest(rank_ahead + {{ rule.window }}, {{ rule.head }} + 1)
            {%- else -%}
            and rank < rank_ahead + {{ rule.window }}
            {%- endif %}
        ) as crowded_rank,
        countIf(item.3 = 0) as shown_places

    from spaced

),

crowded as (

    select
        tupleElement(entries, 1) as ranks,
        tupleElement(entries, 2) as items,
        shown_places,
        if(crowded_rank = 0, length(entries) + 1, crowded_rank) as crowded_from

    from gathered

),

-- One turn per place: (who waits, who was placed). Element 0 of an array is (0, 0): nobody.
turned as (

    select
        items,
        arrayFold(
            (state, turn) -> (
                arrayConcat(
                    arraySlice(state.1, 1, greatest(1, {{ chosen(rule) }}) - 1),
                    arraySlice(state.1, {{ chosen(rule) }} + 1)
                ),
                arrayPushBack(state.2, state.1[{{ chosen(rule) }}])
            ),
            range(crowded_from, length(ranks) + 1),
            (arraySlice(ranks, crowded_from), arraySlice(ranks, 1, crowded_from - 1))
        ) as turns

    from crowded

),

-- Rank by place, nobody left out; then place by rank.
ordered as (

    select
        items,
        {{ 'arrayFilter(rank -> rank != 0, ' if not rule.always }}tupleElement(
            arrayConcat(tupleElement(turns, 2), tupleElement(turns, 1)), 1
        ){{ ')' if not rule.always }} as ranks

    from turned

),

placed as (

    select
        items,
        arraySort((place, rank) -> rank, arrayEnumerate(ranks), ranks) as places
    from ordered

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

{#- Which of those who wait has the next place: the best whose owner may, else the best or nobody. -#}
{%- macro chosen(rule) -%}
{{ 'greatest(1, ' if rule.always }}arrayFirstIndex(
                        entry -> countEqual(
                            {% if rule.head -%}
                            if(
                                length(state.2) < {{ rule.head }} - length({{ shown() }}) + shown_places,
                                tupleElement(state.2, 2),
                                arraySlice(tupleElement(state.2, 2), 1 - {{ rule.window }})
                            )
                            {%- else -%}
                            arraySlice(tupleElement(state.2, 2), 1 - {{ rule.window }})
                            {%- endif %},
                            entry.2
                        ) < {{ rule.per_owner }},
                        state.1
                    ){{ ')' if rule.always }}
{%- endmacro -%}
