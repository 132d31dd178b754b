-- The API: reads what is served, changes nothing. Views run with the rights of who asks, so the
-- tables below them are readable too.
create role if not exists nova_api_reader;

grant select on nova.* to nova_api_reader;

grant select on raw.* to nova_api_reader;

grant -- noqa: PRS
dictGet on nova.* to nova_api_reader;

-- 2: a query may carry settings (its timeout), never a change.
alter role nova_api_reader -- noqa: PRS
settings readonly = 2, max_execution_time = 10;
