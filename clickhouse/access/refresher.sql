-- The refreshing worker: tells models to be refreshed ahead of their turn. Dictionaries can only be
-- granted all together.
create role if not exists nova_refresher;

grant -- noqa: PRS
system views on nova.* to nova_refresher;

grant -- noqa: PRS
system reload dictionary on *.* to nova_refresher;

grant select on system.tables to nova_refresher;
