-- Change capture of blocks: the trigger numbers every change, the view shows what is settled.
create or replace trigger stamp_change
before update on app.blocks
for each row execute function app.stamp_change();

create or replace view app.settled_blocks as
select
    blocker_id,
    blocked_id,
    created_at,
    deleted,
    _txid,
    _version
from app.blocks
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_blocks is
'Blocks whose last change can no longer be overtaken by a running transaction.';
