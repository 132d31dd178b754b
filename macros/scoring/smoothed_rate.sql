{#- A rate that starts at `prior_rate` and is believed after about `prior_weight` trials. -#}
{%- macro smoothed_rate(successes, trials, prior_rate, prior_weight) -%}
greatest(0, least(
        1,
        ({{ successes }} + {{ prior_rate }} * {{ prior_weight }}) / ({{ trials }} + {{ prior_weight }})
    ))
{%- endmacro -%}
