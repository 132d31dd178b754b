-- dbt: owns everything in nova, reads raw and changes nothing there.
create role if not exists nova_dbt_builder ${on_cluster};

grant ${on_cluster} select on raw.* to nova_dbt_builder;

grant ${on_cluster}
select, insert, alter, create, drop, truncate, optimize, show, dictGet, system views
on nova.* to nova_dbt_builder;

grant ${on_cluster} create temporary table on *.* to nova_dbt_builder;

grant ${on_cluster} select on system.* to nova_dbt_builder;
