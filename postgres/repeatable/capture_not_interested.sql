-- Change capture of exclusions: a trigger numbers every change, a view shows what is settled.
create or replace trigger stamp_change
before update on app.not_interested
for each row execute function app.stamp_change();

create or replace view app.settled_not_interested as
select
    user_id,
    video_id,
    created_at,
    deleted,
    _txid,
    _version
from app.not_interested
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_not_interested is
'Exclusions whose last change can no longer be overtaken by a running transaction.';
