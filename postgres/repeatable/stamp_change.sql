-- stamp_change(): numbers a change of a captured row, whatever the statement that made it says.
-- A `before update` trigger runs under the row lock, so later commits have larger versions. That
-- cannot be said of _txid: two transactions may commit against the order in which they started.
create or replace function app.stamp_change()
returns trigger
language plpgsql
as $$
begin
    new._txid := pg_current_xact_id()::text::bigint;
    new._version := nextval('app.change_version');
    return new;
end;
$$;

comment on function app.stamp_change() is 'Sets _txid and _version of an updated, captured row.';
