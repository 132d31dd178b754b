-- dbt: owns everything in nova, reads raw and changes nothing there but adds embeddings.
create role if not exists nova_dbt_builder;

grant select on raw.* to nova_dbt_builder;

grant -- noqa: PRS
select, insert, alter, create, drop, truncate, optimize, show, dictGet, system views
on nova.* to nova_dbt_builder;

-- Embeddings that ClickHouse computes itself are appended by a view of nova.
grant insert on raw.video_embeddings to nova_dbt_builder;

-- A build ends with its dictionaries loaded. They can only be granted all together.
grant -- noqa: PRS
system reload dictionary on *.* to nova_dbt_builder;

grant create temporary table on *.* to nova_dbt_builder;

grant select on system.* to nova_dbt_builder;
