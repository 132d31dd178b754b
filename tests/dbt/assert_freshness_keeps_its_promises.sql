-- Fails with the ages at which freshness is not what the product asks for.
with

promises as (

    select
        promise.1 as age_hours,
        promise.2 as promised
    from (
        select arrayJoin([(0, 1.0), (360, 0.75), (720, 0.0), (721, 0.0), (-1, 0.0)]) as promise
    ) as listed

),

kept as (

    select
        age_hours,
        promised,
        {{ quadratic_decay(
            "toDateTime64('2026-01-31 00:00:00', 3, 'UTC') - toIntervalHour(age_hours)",
            "toDateTime64('2026-01-31 00:00:00', 3, 'UTC')",
            var('freshness_span_hours'),
        ) }} as freshness

    from promises

)

select
    age_hours,
    promised,
    freshness
from kept
where not (abs(freshness - promised) < 0.000001)
