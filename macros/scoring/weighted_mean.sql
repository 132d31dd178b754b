{#- Signals by their weights, one of the `optional` that is null left out and the rest rescaled. The
    others are never null, and not asked: functions are what a feed's plan costs. Weights are columns
    `weight_<signal>`, or the elements of the tuple `weights`, in the order of the signals. -#}
{%- macro weighted_mean(signals, optional, weights=none) -%}
{%- set weight = {} -%}
{%- for signal in signals + optional -%}
    {%- do weight.update({
        signal: weights ~ '.' ~ loop.index if weights else 'weight_' ~ signal
    }) -%}
{%- endfor -%}
(
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}{{ weight[signal] }} * {{ signal }}
        {%- endfor %}
        {%- for signal in optional %}
        + {{ weight[signal] }} * ifNull({{ signal }}, 0)
        {%- endfor %}
    ) / (
        {%- for signal in signals %}
        {{ '+ ' if not loop.first }}{{ weight[signal] }}
        {%- endfor %}
        {%- for signal in optional %}
        + if(isNull({{ signal }}), 0, {{ weight[signal] }})
        {%- endfor %}
    )
{%- endmacro -%}
