-- Change capture of posts: the trigger numbers every change, the view shows what is settled.
create or replace trigger stamp_change
before update on app.posts
for each row execute function app.stamp_change();

create or replace view app.settled_posts as
select
    id,
    author_id,
    body,
    hashtags,
    created_at,
    deleted,
    _txid,
    _version
from app.posts
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_posts is
'Posts whose last change can no longer be overtaken by a running transaction.';
