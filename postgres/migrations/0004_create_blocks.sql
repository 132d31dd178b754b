-- A viewer who blocks a user never sees them again, on any surface, until the block is lifted.
create table app.blocks (
    blocker_id bigint not null,
    blocked_id bigint not null,
    created_at timestamptz not null default now(),
    deleted boolean not null default false,
    _txid bigint not null default pg_current_xact_id()::text::bigint,
    _version bigint not null default nextval('app.change_version'),

    constraint blocks_pkey primary key (blocker_id, blocked_id),
    constraint blocker_is_a_user foreign key (blocker_id) references app.users (id),
    constraint blocked_is_a_user foreign key (blocked_id) references app.users (id),
    constraint nobody_blocks_themselves check (blocker_id <> blocked_id)
);

create index blocks_txid_idx on app.blocks (_txid);

comment on table app.blocks is 'One row per viewer and the user they block, or once blocked.';
comment on column app.blocks.blocker_id is 'User who pressed block.';
comment on column app.blocks.blocked_id is 'User who is no longer shown.';
comment on column app.blocks.created_at is 'When the block now in force began (UTC).';
comment on column app.blocks.deleted is 'True after the block was lifted.';
comment on column app.blocks._txid is 'Transaction that last wrote the row; capture reads by it.';
comment on column app.blocks._version is
'Grows with every change of the row; the largest is current.';
