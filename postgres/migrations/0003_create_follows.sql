-- Who follows whom. An unfollow keeps the row and sets `deleted`; following again clears it, so a
-- pair has one row for ever and its _version orders the changes.
create table app.follows (
    follower_id bigint not null,
    followee_id bigint not null,
    created_at timestamptz not null default now(),
    deleted boolean not null default false,
    _txid bigint not null default pg_current_xact_id()::text::bigint,
    _version bigint not null default nextval('app.change_version'),

    constraint follows_pkey primary key (follower_id, followee_id),
    constraint follower_is_a_user foreign key (follower_id) references app.users (id),
    constraint followee_is_a_user foreign key (followee_id) references app.users (id),
    constraint nobody_follows_themselves check (follower_id <> followee_id)
);

create index follows_txid_idx on app.follows (_txid);
create index follows_followee_idx on app.follows (followee_id);

comment on table app.follows is 'One row per follower and the user they follow, or once followed.';
comment on column app.follows.follower_id is 'User who follows.';
comment on column app.follows.followee_id is 'User who is followed.';
comment on column app.follows.created_at is 'When the follow now in force began (UTC).';
comment on column app.follows.deleted is
'True after an unfollow, false again after the next follow.';
comment on column app.follows._txid is 'Transaction that last wrote the row; capture reads by it.';
comment on column app.follows._version is
'Grows with every change of the row; the largest is current.';
