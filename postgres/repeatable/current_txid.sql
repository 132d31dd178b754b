-- current_txid(): the running transaction as capture's _txid has it; null when nothing was written.
create or replace function app.current_txid()
returns bigint
language sql
stable
return pg_current_xact_id_if_assigned()::text::bigint;

comment on function app.current_txid() is
'Number of the running transaction, as in _txid; null when it has written nothing.';
