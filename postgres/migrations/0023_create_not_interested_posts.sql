-- "Not interested" in a post, as app.not_interested is for videos: captured, because it excludes
-- for good and events expire. A table of its own: the key of app.not_interested is a video's id,
-- and a post may have the same one.
create table app.not_interested_posts (
    user_id bigint not null,
    post_id bigint not null,
    created_at timestamptz not null default now(),
    deleted boolean not null default false,
    _txid bigint not null default pg_current_xact_id()::text::bigint,
    _version bigint not null default nextval('app.change_version'),

    constraint not_interested_posts_pkey primary key (user_id, post_id),
    constraint viewer_not_interested_in_post_is_a_user
    foreign key (user_id) references app.users (id),
    constraint uninteresting_post_is_known foreign key (post_id) references app.posts (id)
);

create index not_interested_posts_txid_idx on app.not_interested_posts (_txid);

comment on table app.not_interested_posts is
'One row per viewer and post they never want to see again.';
comment on column app.not_interested_posts.user_id is 'Viewer who said so.';
comment on column app.not_interested_posts.post_id is 'Post that is hidden from them.';
comment on column app.not_interested_posts.created_at is 'When they said so (UTC).';
comment on column app.not_interested_posts.deleted is 'True once taken back.';
comment on column app.not_interested_posts._txid is
'Transaction that last wrote the row; capture reads by it.';
comment on column app.not_interested_posts._version is
'Grows with every change of the row; the largest is current.';

-- What was said so far and has not expired.
insert into app.not_interested_posts (user_id, post_id, created_at)
select
    user_id,
    item_id,
    min(event_time) as created_at
from app.events
where
    item_type = 'post'
    and action = 'not_interested'
group by
    user_id,
    item_id;
