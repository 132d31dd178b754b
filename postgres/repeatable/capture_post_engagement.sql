-- Change capture of post counters: a trigger numbers every change, a view shows what is settled.
create or replace trigger stamp_change
before update on app.post_engagement
for each row execute function app.stamp_change();

create or replace view app.settled_post_engagement as
select
    post_id,
    exposures,
    views,
    likes,
    shares,
    comments,
    dwell_ms,
    deleted,
    _txid,
    _version
from app.post_engagement
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_post_engagement is
'Post counters whose last change can no longer be overtaken by a running transaction.';
