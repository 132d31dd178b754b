-- Change capture of events: an immutable stream. Landing counts each row once, so a row that
-- changed or went away would make every rollup wrong without a trace.
create or replace function app.refuse_event_change()
returns trigger
language plpgsql
as $$
begin
    raise exception 'events are append-only'
        using hint = 'Record a new event, or let the partition expire.';
end;
$$;

comment on function app.refuse_event_change() is 'Keeps app.events append-only.';

create or replace trigger refuse_change
before update or delete on app.events
for each row execute function app.refuse_event_change();

create or replace view app.settled_events as
select
    idempotent_key,
    event_time,
    user_id,
    item_id,
    item_type,
    author_id,
    action,
    dwell_ms,
    watch_ms,
    completion,
    device,
    app_ver,
    feed_request_id,
    received_at,
    _txid
from app.events
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_events is
'Events below every running transaction: no smaller _txid can appear any more.';
