-- Every faulty field of a batch, in order.
select
    index,
    field,
    message
from app.event_problems(%(events)s::jsonb)
