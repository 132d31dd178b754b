-- Change capture of video counters: a trigger numbers every change, a view shows what is settled.
create or replace trigger stamp_change
before update on app.video_engagement
for each row execute function app.stamp_change();

create or replace view app.settled_video_engagement as
select
    video_id,
    views,
    completions,
    watch_ms,
    likes,
    shares,
    comments,
    deleted,
    _txid,
    _version
from app.video_engagement
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_video_engagement is
'Video counters whose last change can no longer be overtaken by a running transaction.';
