{#- Logarithms of counts: 0 and more, and neither NaN nor infinite. -#}
{% test finite_and_not_negative(model, column_name) %}

    select {{ column_name }}
    from {{ model }}
    where not (isFinite({{ column_name }}) and {{ column_name }} >= 0)

{% endtest %}
