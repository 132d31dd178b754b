-- Fails if the macro `subqueries` changes what a query says: names in names, a name used twice, a
-- parenthesis in quotes, a table of the same name in another scope.
{% set named %}
with

numbered as (

    select
        number,
        ')' as text
    from numbers(5)

),

shifted as (

    with

    numbered as (

        select number + 10 as number from numbers(3) -- not the one above (

    )

    select number from numbered

)

select
    numbered.number as number,
    numbered.text as text
from numbered
where numbered.number in (shifted)

union all

select
    shifted.number as number,
    numbers.text as text
from shifted
inner join numbered as numbers on shifted.number = numbers.number + 10
{% endset %}
with

said as (

    select groupArray((number, text)) as answer
    from (
        {{ subqueries(named) }}
        order by number
    ) as rewritten

)

select answer
from said
where answer != [(10, ')'), (11, ')'), (12, ')')]
