-- Events about items nobody here knows yet: another service's video may be seen, and reported,
-- before its row arrives. They wait here for the item, for a day (app.ingest_queued_events).
--
-- The same key as in app.events, the other way round: the key is a hash, so an index that begins
-- with it can be read from a random place on, and a long queue is looked through in parts.
create table app.unknown_item_events (
    idempotent_key bigint not null,
    event_time timestamptz not null,
    user_id bigint not null,
    item_id bigint not null,
    item_type text not null,
    action text not null,
    dwell_ms integer not null default 0,
    watch_ms integer not null default 0,
    completion real,
    device text not null default '',
    app_ver text not null default '',
    feed_request_id uuid,
    received_at timestamptz not null default now(),

    constraint unknown_item_events_pkey primary key (idempotent_key, event_time),
    constraint queued_item_is_a_video_or_post check (item_type in ('video', 'post'))
);

create index unknown_item_events_user_idx on app.unknown_item_events (user_id);
create index unknown_item_events_received_idx on app.unknown_item_events (received_at);

comment on table app.unknown_item_events is
'One row per event, as in app.events, whose video or post is not known yet; for 24 hours.';
comment on column app.unknown_item_events.idempotent_key is 'As in app.events.';
comment on column app.unknown_item_events.event_time is
'When it happened, by the client''s clock (UTC, whole seconds).';
comment on column app.unknown_item_events.user_id is 'Viewer who acted.';
comment on column app.unknown_item_events.item_id is 'Video or post acted on, not known here.';
comment on column app.unknown_item_events.item_type is 'video or post.';
comment on column app.unknown_item_events.action is 'As in app.events.';
comment on column app.unknown_item_events.dwell_ms is
'Time the item was on screen (milliseconds).';
comment on column app.unknown_item_events.watch_ms is
'Time played (milliseconds); 0 unless the action is view.';
comment on column app.unknown_item_events.completion is
'Share of the video watched (rate, 0 to 1); null when unknown.';
comment on column app.unknown_item_events.device is 'Device as the client names it.';
comment on column app.unknown_item_events.app_ver is 'Version of the client (semver).';
comment on column app.unknown_item_events.feed_request_id is
'Feed request that showed the item; null when none did.';
comment on column app.unknown_item_events.received_at is 'When it was queued (UTC).';
