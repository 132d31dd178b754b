{#- Signals that are always there by their `weight_<signal>`; the weights of a variant sum to 1. -#}
{%- macro weighted_sum(signals) -%}
(
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}weight_{{ signal }} * {{ signal }}
        {%- endfor %}
    )
{%- endmacro -%}
