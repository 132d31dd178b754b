-- The migration runner: owns the shape of raw. Used for the minutes of a release, by no service.
create role if not exists nova_migrator ${on_cluster};

grant ${on_cluster} select, insert, alter, create, drop, show on raw.* to nova_migrator;

grant ${on_cluster} create database on *.* to nova_migrator;
