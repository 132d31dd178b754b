{#- Signals live in [0, 1]; NaN is outside it. -#}
{% test within_unit_interval(model, column_name) %}

    select {{ column_name }}
    from {{ model }}
    where not ({{ column_name }} between 0 and 1)

{% endtest %}
