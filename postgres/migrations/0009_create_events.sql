-- What viewers did, one row per action and second. Append only, kept 30 days or so: partitions by
-- week are made ahead by app.ensure_event_partitions and dropped by
-- app.drop_expired_event_partitions. Weeks, because change capture asks every partition for new
-- rows several times a second, and a test database copies every partition's files.
--
-- No foreign keys: app.record_events has already looked up viewer and item, and this is the one
-- table where two index probes per row are felt.
create table app.events (
    idempotent_key bigint not null,
    event_time timestamptz not null,
    user_id bigint not null,
    item_id bigint not null,
    item_type text not null,
    author_id bigint not null,
    action text not null,
    dwell_ms integer not null default 0,
    watch_ms integer not null default 0,
    completion real,
    device text not null default '',
    app_ver text not null default '',
    feed_request_id uuid,
    received_at timestamptz not null default clock_timestamp(),
    _txid bigint not null default pg_current_xact_id()::text::bigint,

    constraint events_pkey primary key (event_time, idempotent_key),
    constraint event_time_is_in_whole_seconds check (
        event_time = date_trunc('second', event_time)
    ),
    constraint event_item_is_a_video_or_post check (item_type in ('video', 'post')),
    constraint event_action_is_known check (
        action in (
            'impression', 'view', 'dwell', 'like', 'unlike', 'comment', 'uncomment', 'share',
            'not_interested', 'follow_from_item', 'profile_visit'
        )
    ),
    constraint dwell_time_is_not_negative check (dwell_ms >= 0),
    constraint watch_time_is_not_negative check (watch_ms >= 0),
    constraint completion_is_a_share check (completion between 0 and 1),
    constraint only_views_carry_watch_time check (
        action = 'view' or (watch_ms = 0 and completion is null)
    )
)
partition by range (event_time);

create index events_txid_idx on app.events (_txid);

comment on table app.events is
'One row per viewer, item, action and second. Never updated; expires by partition.';
comment on column app.events.idempotent_key is
'app.event_key of viewer, item, action and second: the same event sent again has the same key.';
comment on column app.events.event_time is
'When it happened, by the client''s clock (UTC, whole seconds).';
comment on column app.events.user_id is 'Viewer who acted.';
comment on column app.events.item_id is 'Video or post acted on.';
comment on column app.events.item_type is 'video or post.';
comment on column app.events.author_id is
'Creator or author of the item, looked up when the event was stored.';
comment on column app.events.action is
'impression, view (a playback), dwell, like, unlike, comment, uncomment, share, not_interested, '
'follow_from_item or profile_visit.';
comment on column app.events.dwell_ms is 'Time the item was on screen (milliseconds).';
comment on column app.events.watch_ms is 'Time played (milliseconds); 0 unless the action is view.';
comment on column app.events.completion is
'Share of the video watched (rate, 0 to 1); null when unknown.';
comment on column app.events.device is 'Device as the client names it; empty when unknown.';
comment on column app.events.app_ver is 'Version of the client (semver); empty when unknown.';
comment on column app.events.feed_request_id is
'Feed request that showed the item; null when none did.';
comment on column app.events.received_at is 'When it was stored (UTC).';
comment on column app.events._txid is 'Transaction that stored it; change capture reads by it.';
