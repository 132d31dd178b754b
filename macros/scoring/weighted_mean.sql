{#- Signals by their `weight_<signal>`; one of the `optional` that is null is left out, and the rest
    rescaled. The others are never null, and not asked: functions are what a feed's plan costs. -#}
{%- macro weighted_mean(signals, optional) -%}
(
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}weight_{{ signal }} * {{ signal }}
        {%- endfor %}
        {%- for signal in optional %}
        + weight_{{ signal }} * ifNull({{ signal }}, 0)
        {%- endfor %}
    ) / (
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}weight_{{ signal }}
        {%- endfor %}
        {%- for signal in optional %}
        + if(isNull({{ signal }}), 0, weight_{{ signal }})
        {%- endfor %}
    )
{%- endmacro -%}
