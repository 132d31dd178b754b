{#- How far a count is above what its own past led to expect, in standard deviations of a count:
    0 when it is not above. At least so much is expected of anything, so that luck with little is no
    growth. Rounded, so that equals are equal in every refresh. -#}
{%- macro growth(counted, expected, least_expected) -%}
greatest(
        0,
        round(
            ({{ counted }} - greatest({{ expected }}, {{ least_expected }}))
            / sqrt(greatest({{ expected }}, {{ least_expected }})),
            6
        )
    )
{%- endmacro -%}

{#- How many windows before the one that begins at `window_start` something was: 0 for in it. -#}
{%- macro windows_before(at, window_start, window_hours) -%}
greatest(
        0,
        ceil(date_diff('millisecond', {{ at }}, {{ window_start }}) / (3600000 * {{ window_hours }}))
    )
{%- endmacro -%}

{#- What a count of an earlier window weighs in what is expected: half as much every half-life, and
    nothing in the window itself or beyond the baseline. -#}
{%- macro baseline_weight(windows_before) -%}
if(
        {{ windows_before }} between 1 and {{ var('trending_baseline_windows') }},
        exp2(-{{ windows_before }} / {{ var('trending_half_life_windows') }}),
        0
    )
{%- endmacro -%}

{#- The weighted mean of earlier windows, from the sum of their counts by `baseline_weight`. Windows
    without a count are in it as 0: what is new was expected by nobody. -#}
{%- macro expected_of_baseline(weighted_count) -%}
{{ weighted_count }} / arraySum(
        number -> exp2(-number / {{ var('trending_half_life_windows') }}),
        range(1, {{ var('trending_baseline_windows') }} + 1)
    )
{%- endmacro -%}
