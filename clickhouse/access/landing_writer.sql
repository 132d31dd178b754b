-- The landing worker: fills raw.* from Postgres, whose address it keeps in a named collection.
create role if not exists nova_landing_writer ${on_cluster};

-- truncate: entities land anew when another Postgres is adopted.
grant ${on_cluster} select, insert, truncate on raw.* to nova_landing_writer;

grant ${on_cluster} alter delete on raw.landing_windows to nova_landing_writer;

grant ${on_cluster} create temporary table on *.* to nova_landing_writer;

grant ${on_cluster} postgres on *.* to nova_landing_writer;

grant ${on_cluster} create named collection, alter named collection, named collection
on * to nova_landing_writer;
