{#- Places by rank, so that one creator has at most `saturation_per_creator_places` of any
    `saturation_window_places` consecutive places; docs/ranking.md has the rule and its proof.

    `spacing` is, in rank order, (rank, rank of the video of the same creator that must be a whole
    window ahead, or 0). Ranks before `crowded_from` keep their places: the caller knows that they obey.
    Best first, each other video takes the earliest free place a window behind the one ahead of
    it; who finds none goes to the end; places nobody could take are closed. -#}
{%- macro saturated_ranks(spacing, crowded_from) -%}
arrayFilter(
        place -> place != 0,
        arrayFold(
            (places, video) -> arrayConcat(
                arraySlice(places, 1, {{ earliest_place('places', 'video') }} - 1),
                [video.1],
                arraySlice(places, {{ earliest_place('places', 'video') }} + 1)
            ),
            arraySlice({{ spacing }}, {{ crowded_from }}),
            arrayResize(range(1, {{ crowded_from }}), length({{ spacing }}), 0)
        )
    )
{%- endmacro -%}

{#- The earliest free place (0 in `places`) from `allowed` on; the one behind the last always is. -#}
{%- macro earliest_place(places, video) -%}
indexOf(arraySlice(arrayPushBack({{ places }}, 0), {{ earliest_allowed(places, video) }}), 0)
                + {{ earliest_allowed(places, video) }} - 1
{%- endmacro -%}

{%- macro earliest_allowed(places, video) -%}
least(
                    length({{ places }}) + 1,
                    if(
                        {{ video }}.2 = 0,
                        toUInt64(1),
                        indexOf({{ places }}, {{ video }}.2) + {{ var('saturation_window_places') }}
                    )
                )
{%- endmacro -%}

{#- The rank of the first video that is less than a window behind the one ahead, or one past all. -#}
{%- macro first_crowded_rank(spacing) -%}
toUInt64(
                arrayFirstIndex(
                    video -> video.2 != 0
                    and video.1 < video.2 + {{ var('saturation_window_places') }},
                    arrayPushBack({{ spacing }}, (toUInt64(1), toUInt64(1)))
                )
            )
{%- endmacro -%}
