{#- Every `weight_` column of a row, added up, is 1: written so that a new signal needs no change. -#}
{% test weights_sum_to_one(model) %}

    select
        variant,
        weight_total
    from (
        select
            variant,
            arraySum([columns('^weight_')]) as weight_total
        from {{ model }}
    ) as totals
    where not (weight_total between 0.999999 and 1.000001)

{% endtest %}
