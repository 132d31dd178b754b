-- Change capture of sounds: the trigger numbers every change, the view shows what is settled.
create or replace trigger stamp_change
before update on app.sounds
for each row execute function app.stamp_change();

create or replace view app.settled_sounds as
select
    id,
    name,
    is_original,
    created_at,
    deleted,
    _txid,
    _version
from app.sounds
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_sounds is
'Sounds whose last change can no longer be overtaken by a running transaction.';
