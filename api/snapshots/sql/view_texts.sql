-- What the serving views say, as ClickHouse keeps it, their arguments in place.
select
    name,
    as_select
from system.tables
where
    database = 'nova'
    and engine = 'View'
    and startsWith(name, 'feed__')
