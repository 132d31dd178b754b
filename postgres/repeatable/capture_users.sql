-- Change capture of users: the trigger numbers every change, the view shows what is settled.
create or replace trigger stamp_change
before update on app.users
for each row execute function app.stamp_change();

create or replace view app.settled_users as
select
    id,
    username,
    created_at,
    deleted,
    _txid,
    _version
from app.users
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_users is
'Users whose last change can no longer be overtaken by a running transaction.';
