-- The version counter of change capture. Every captured row takes its _version from here, under
-- its own row lock, so that versions of one row grow in commit order (docs/architecture.md).
-- Cached per session, numbers would no longer follow the lock order: keep `cache 1`.
create schema if not exists app;

comment on schema app is
'Nova Feed: the system of record. Written through functions, read by change capture.';

create sequence app.change_version as bigint cache 1;

comment on sequence app.change_version is
'Versions of captured rows: the larger one of a row is the newer one.';
