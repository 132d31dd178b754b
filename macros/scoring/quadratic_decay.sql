{#- 1 when new, 0 after `span_hours`, and slow at first; 0 for what has not happened yet. -#}
{%- macro quadratic_decay(since, at, span_hours) -%}
if(
        {{ since }} > {{ at }},
        0,
        greatest(0, 1 - pow(date_diff('millisecond', {{ since }}, {{ at }}) / (3600000 * {{ span_hours }}), 2))
    )
{%- endmacro -%}
