{#- Places by rank, so that one creator has at most `saturation_per_creator_places` of any
    `saturation_window_places` consecutive places; docs/ranking.md has the rule and its proof.

    `spacing` is, in rank order, (rank, rank of the video of the same creator that must be a whole
    window ahead, or 0). The first `settled` ranks keep their places: the caller knows they obey.
    Best first, each other video takes the earliest free place a window behind the one ahead of
    it; who finds none goes to the end; places nobody could take are closed. -#}
{%- macro saturated_ranks(spacing, settled) -%}
arrayFilter(
        place -> place != 0,
        arrayFold(
            (places, video) -> arrayConcat(
                arraySlice(places, 1, {{ earliest_place('places', 'video') }} - 1),
                [video.1],
                arraySlice(places, {{ earliest_place('places', 'video') }} + 1)
            ),
            arraySlice({{ spacing }}, {{ settled }} + 1),
            arrayResize(range(toUInt64(1), {{ settled }} + 1), length({{ spacing }}), 0)
        )
    )
{%- endmacro -%}

{#- The earliest free place (0 in `places`) for a video, or the place after the last. -#}
{%- macro earliest_place(places, video) -%}
if(
                    has(arraySlice({{ places }}, {{ earliest_allowed(places, video) }}), 0),
                    indexOf(arraySlice({{ places }}, {{ earliest_allowed(places, video) }}), 0)
                    + {{ earliest_allowed(places, video) }} - 1,
                    length({{ places }}) + 1
                )
{%- endmacro -%}

{%- macro earliest_allowed(places, video) -%}
if({{ video }}.2 = 0, 1, indexOf({{ places }}, {{ video }}.2) + {{ var('saturation_window_places') }})
{%- endmacro -%}
