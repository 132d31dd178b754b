-- The landing worker: fills raw.* from Postgres, whose address it keeps in a named collection.
create role if not exists nova_landing_writer;

-- truncate and delete: entities land anew when another Postgres is adopted.
grant select, insert, truncate on raw.* to nova_landing_writer;

grant alter delete on raw.viewer_facts to nova_landing_writer;

grant alter delete on raw.landing_windows to nova_landing_writer;

grant create temporary table on *.* to nova_landing_writer;

grant postgres -- noqa: PRS
on *.* to nova_landing_writer;

grant create named collection, alter named collection, named collection
on * to nova_landing_writer;
