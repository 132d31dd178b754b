-- Change capture of follows: the trigger numbers every change, the view shows what is settled.
create or replace trigger stamp_change
before update on app.follows
for each row execute function app.stamp_change();

create or replace view app.settled_follows as
select
    follower_id,
    followee_id,
    created_at,
    deleted,
    _txid,
    _version,
    ended_at
from app.follows
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_follows is
'Follows whose last change can no longer be overtaken by a running transaction.';
