-- Where items were shared to. Not captured: the event carries the share to the rankings.
create table app.shares (
    user_id bigint not null,
    item_type text not null,
    item_id bigint not null,
    shared_at timestamptz not null,
    share_target text not null,

    constraint shares_pkey primary key (user_id, item_type, item_id, shared_at),
    constraint sharer_is_a_user foreign key (user_id) references app.users (id),
    constraint shared_item_is_a_video_or_post check (item_type in ('video', 'post')),
    constraint share_target_is_a_short_text check (length(share_target) between 1 and 64)
);

comment on table app.shares is
'One row per viewer, item and second of a share whose target is known.';
comment on column app.shares.user_id is 'Viewer who shared it.';
comment on column app.shares.item_type is 'video or post.';
comment on column app.shares.item_id is 'Video or post that was shared.';
comment on column app.shares.shared_at is 'Time of the share''s event (UTC, whole seconds).';
comment on column app.shares.share_target is 'Where to, as the client names it.';
