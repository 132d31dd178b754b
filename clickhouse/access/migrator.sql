-- The migration runner: owns the shape of raw. Used for the minutes of a release, by no service.
create role if not exists nova_migrator;

grant select, insert, alter, create, drop, show on raw.* to nova_migrator;

grant create database on *.* to nova_migrator;

-- What a word is, for documents and queries alike (0024).
grant create function -- noqa: PRS
on *.* to nova_migrator;
