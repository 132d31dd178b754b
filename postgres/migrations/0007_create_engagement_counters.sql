-- Running totals per item, shown beside it. They move with the events, in the same transaction
-- (app.record_events), and outlive them: events expire, totals do not.
--
-- Every update moves _txid, which is indexed, so no update is heap-only: vacuum early, or the
-- most-watched rows bloat first.
create table app.video_engagement (
    video_id bigint not null,
    views bigint not null default 0,
    completions double precision not null default 0,
    watch_ms bigint not null default 0,
    likes bigint not null default 0,
    shares bigint not null default 0,
    comments bigint not null default 0,
    deleted boolean not null default false,
    _txid bigint not null default pg_current_xact_id()::text::bigint,
    _version bigint not null default nextval('app.change_version'),

    constraint video_engagement_pkey primary key (video_id),
    constraint video_is_known foreign key (video_id) references app.videos (id),
    constraint views_are_not_negative check (views >= 0),
    constraint completions_are_not_negative check (completions >= 0),
    constraint watch_time_is_not_negative check (watch_ms >= 0),
    constraint likes_are_not_negative check (likes >= 0),
    constraint shares_are_not_negative check (shares >= 0),
    constraint comments_are_not_negative check (comments >= 0)
)
with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

create index video_engagement_txid_idx on app.video_engagement (_txid);

comment on table app.video_engagement is
'One row per video that anyone ever acted on; no row means zeros.';
comment on column app.video_engagement.video_id is 'Video being counted.';
comment on column app.video_engagement.views is 'Playbacks (count, all time).';
comment on column app.video_engagement.completions is
'Sum over views of the share watched, each clipped to 0..1; unknown adds 0.';
comment on column app.video_engagement.watch_ms is 'Time watched (milliseconds, all time).';
comment on column app.video_engagement.likes is 'Viewers who like it now (count).';
comment on column app.video_engagement.shares is 'Shares (count, all time).';
comment on column app.video_engagement.comments is 'Comments less deleted comments (count).';
comment on column app.video_engagement.deleted is 'Always false: totals stay with their video.';
comment on column app.video_engagement._txid is
'Transaction that last wrote the row; capture reads by it.';
comment on column app.video_engagement._version is
'Grows with every change of the row; the largest is current.';

create table app.post_engagement (
    post_id bigint not null,
    exposures bigint not null default 0,
    views bigint not null default 0,
    likes bigint not null default 0,
    shares bigint not null default 0,
    comments bigint not null default 0,
    dwell_ms bigint not null default 0,
    deleted boolean not null default false,
    _txid bigint not null default pg_current_xact_id()::text::bigint,
    _version bigint not null default nextval('app.change_version'),

    constraint post_engagement_pkey primary key (post_id),
    constraint post_is_known foreign key (post_id) references app.posts (id),
    constraint exposures_are_not_negative check (exposures >= 0),
    constraint views_are_not_negative check (views >= 0),
    constraint likes_are_not_negative check (likes >= 0),
    constraint shares_are_not_negative check (shares >= 0),
    constraint comments_are_not_negative check (comments >= 0),
    constraint dwell_time_is_not_negative check (dwell_ms >= 0)
)
with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

create index post_engagement_txid_idx on app.post_engagement (_txid);

comment on table app.post_engagement is
'One row per post that anyone ever acted on; no row means zeros.';
comment on column app.post_engagement.post_id is 'Post being counted.';
comment on column app.post_engagement.exposures is 'Impressions (count, all time).';
comment on column app.post_engagement.views is 'Opened posts (count, all time).';
comment on column app.post_engagement.likes is 'Viewers who like it now (count).';
comment on column app.post_engagement.shares is 'Shares (count, all time).';
comment on column app.post_engagement.comments is 'Comments less deleted comments (count).';
comment on column app.post_engagement.dwell_ms is
'Time on screen over all events (milliseconds, all time).';
comment on column app.post_engagement.deleted is 'Always false: totals stay with their post.';
comment on column app.post_engagement._txid is
'Transaction that last wrote the row; capture reads by it.';
comment on column app.post_engagement._version is
'Grows with every change of the row; the largest is current.';
