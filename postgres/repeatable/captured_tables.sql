-- captured_tables: what change capture has to read. Derived from the catalogue, so that a new
-- table with the capture columns cannot be forgotten.
create or replace view app.captured_tables as
select
    captured.relname::text as table_name,
    'app.settled_' || captured.relname as settled_view,
    case
        when bool_or(attributes.attname = '_version') then 'entity'
        else 'stream'
    end as kind,
    (
        select array_agg(parts.attname::text order by array_position(pkey.indkey, parts.attnum))
        from pg_index as pkey
        inner join pg_attribute as parts
            on pkey.indrelid = parts.attrelid and parts.attnum = any(pkey.indkey)
        where pkey.indrelid = captured.oid and pkey.indisprimary
    ) as key_columns,
    array_agg(attributes.attname::text order by attributes.attnum) as column_names
from pg_class as captured
inner join pg_attribute as attributes
    on
        captured.oid = attributes.attrelid
        and attributes.attnum > 0
        and not attributes.attisdropped
where
    captured.relnamespace = 'app'::regnamespace
    and captured.relkind in ('r', 'p')
    and not captured.relispartition
group by
    captured.oid,
    captured.relname
having bool_or(attributes.attname = '_txid');

comment on view app.captured_tables is 'One row per table that change capture copies downstream.';
comment on column app.captured_tables.table_name is 'Table in schema app.';
comment on column app.captured_tables.settled_view is 'View to read it through, qualified.';
comment on column app.captured_tables.kind is
'entity (rows change; the largest _version wins) or stream (rows are only added).';
comment on column app.captured_tables.key_columns is 'Primary key, in order.';
comment on column app.captured_tables.column_names is 'All columns, in order.';
