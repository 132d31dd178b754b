-- Change capture of excluded posts: a trigger numbers every change, a view shows what is settled.
create or replace trigger stamp_change
before update on app.not_interested_posts
for each row execute function app.stamp_change();

create or replace view app.settled_not_interested_posts as
select
    user_id,
    post_id,
    created_at,
    deleted,
    _txid,
    _version
from app.not_interested_posts
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_not_interested_posts is
'Excluded posts whose last change can no longer be overtaken by a running transaction.';
