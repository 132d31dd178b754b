-- captured_tables: what change capture has to read. Derived from the catalogue, so that a new
-- table with the capture columns cannot be forgotten.
create or replace view app.captured_tables as
select
    tables.relname::text as table_name,
    'app.settled_' || tables.relname as settled_view,
    case
        when bool_or(columns.attname = '_version') then 'entity'
        else 'stream'
    end as kind,
    (
        select array_agg(keys.attname::text order by array_position(indexes.indkey, keys.attnum))
        from pg_index as indexes
        inner join pg_attribute as keys
            on indexes.indrelid = keys.attrelid and keys.attnum = any(indexes.indkey)
        where indexes.indrelid = tables.oid and indexes.indisprimary
    ) as key_columns,
    array_agg(columns.attname::text order by columns.attnum) as columns
from pg_class as tables
inner join pg_attribute as columns
    on tables.oid = columns.attrelid and columns.attnum > 0 and not columns.attisdropped
where
    tables.relnamespace = 'app'::regnamespace
    and tables.relkind in ('r', 'p')
    and not tables.relispartition
group by
    tables.oid,
    tables.relname
having bool_or(columns.attname = '_txid');

comment on view app.captured_tables is 'One row per table that change capture copies downstream.';
comment on column app.captured_tables.table_name is 'Table in schema app.';
comment on column app.captured_tables.settled_view is 'View to read it through, qualified.';
comment on column app.captured_tables.kind is
'entity (rows change; the largest _version wins) or stream (rows are only added).';
comment on column app.captured_tables.key_columns is 'Primary key, in order.';
comment on column app.captured_tables.columns is 'All columns, in order.';
