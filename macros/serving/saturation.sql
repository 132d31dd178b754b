{#- The place of each rank, so that one creator has at most `saturation_per_creator_places` of any
    `saturation_window_places` consecutive places; docs/ranking.md has the rule and its proof.

    `ranks_ahead` is, in rank order, the rank of the video of the same creator that must be a whole
    window ahead, or 0. Ranks before `crowded_from` keep their places: the caller knows they obey.
    Best first, each other video takes the earliest free place a window behind the one ahead of it.
    Behind the last place there are as many again, for those who find none.

    The fold carries a text with a mark per place ('.' is free: `position` finds the next, `overlay`
    takes it) and the places so far, behind one for rank 0 that lets a video begin at the first. -#}
{%- macro saturated_places(ranks_ahead, crowded_from) -%}
arrayPopFront(tupleElement(
        arrayFold(
            (state, rank_ahead) -> (
                overlay(state.1, '#', {{ earliest_place('state', 'rank_ahead', ranks_ahead) }}),
                arrayPushBack(state.2, {{ earliest_place('state', 'rank_ahead', ranks_ahead) }})
            ),
            arraySlice({{ ranks_ahead }}, {{ crowded_from }}),
            (
                rightPad(repeat('#', {{ crowded_from }} - 1), 2 * length({{ ranks_ahead }}), '.'),
                arrayConcat([toInt64(1 - {{ var('saturation_window_places') }})], range(toInt64(1), toInt64({{ crowded_from }})))
            )
        ),
        2
    ))
{%- endmacro -%}

{#- The earliest free place a window behind the place of `rank_ahead`. -#}
{%- macro earliest_place(state, rank_ahead, ranks_ahead) -%}
toInt64(position(
                    {{ state }}.1,
                    '.',
                    toUInt64(least(
                        {{ state }}.2[{{ rank_ahead }} + 1] + {{ var('saturation_window_places') }},
                        length({{ ranks_ahead }}) + 1
                    ))
                ))
{%- endmacro -%}

{#- The first rank that is less than a window behind the one it must follow, or one past all. -#}
{%- macro first_crowded_rank(ranks_ahead) -%}
toUInt64(arrayFirstIndex(
            (rank_ahead, rank) -> rank_ahead != 0
            and rank < rank_ahead + {{ var('saturation_window_places') }},
            arrayPushBack({{ ranks_ahead }}, 1),
            arrayPushBack(arrayEnumerate({{ ranks_ahead }}), 1)
        ))
{%- endmacro -%}
