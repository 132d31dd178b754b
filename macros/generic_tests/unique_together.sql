{#- The columns together name one row. -#}
{% test unique_together(model, columns) %}

    select
        {{ columns | join(', ') }},
        count() as copies
    from {{ model }}
    group by {{ columns | join(', ') }}
    having copies > 1

{% endtest %}
