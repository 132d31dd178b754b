{#- The clock of what is refreshed on a schedule. Serving views have `as_of()` instead. -#}
{%- macro run_at() -%} now64(3, 'UTC') {%- endmacro -%}
