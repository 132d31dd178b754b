-- The refreshing worker: tells models to be refreshed ahead of their turn.
create role if not exists nova_refresher;

grant -- noqa: PRS
system views on nova.* to nova_refresher;

grant select on system.tables to nova_refresher;
