-- Change capture of videos: the trigger numbers every change, the view shows what is settled.
create or replace trigger stamp_change
before update on app.videos
for each row execute function app.stamp_change();

create or replace view app.settled_videos as
select
    id,
    creator_id,
    sound_id,
    category,
    title,
    description,
    hashtags,
    duration_ms,
    status,
    created_at,
    published_at,
    thumbnail_url,
    deleted,
    _txid,
    _version
from app.videos
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_videos is
'Videos whose last change can no longer be overtaken by a running transaction.';
