{#- 1 when new, less by the same part every hour, and never 0; 0 for what has not happened yet. -#}
{%- macro exponential_decay(since, at, rate_per_hour) -%}
if(
        {{ since }} > {{ at }},
        0,
        exp(-{{ rate_per_hour }} * date_diff('millisecond', {{ since }}, {{ at }}) / 3600000)
    )
{%- endmacro -%}
