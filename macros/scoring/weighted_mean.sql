{#- Signals by their `weight_<signal>`; a signal that is null is left out, and the rest rescaled. -#}
{%- macro weighted_mean(signals) -%}
(
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}weight_{{ signal }} * ifNull({{ signal }}, 0)
        {%- endfor %}
    ) / (
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}if(isNull({{ signal }}), 0, weight_{{ signal }})
        {%- endfor %}
    )
{%- endmacro -%}
