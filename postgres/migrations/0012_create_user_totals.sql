-- How many follow a user and how many they follow, for profiles and answers. Counted by a trigger
-- on app.follows (postgres/repeatable/count_follows.sql), so imports and samples are counted too.
create table app.user_totals (
    user_id bigint not null,
    followers bigint not null default 0,
    followings bigint not null default 0,

    constraint user_totals_pkey primary key (user_id),
    constraint counted_user_is_known foreign key (user_id) references app.users (id),
    constraint followers_are_not_negative check (followers >= 0),
    constraint followings_are_not_negative check (followings >= 0)
)
-- No column that changes is indexed, so with room on the page updates stay on it.
with (fillfactor = 70);

comment on table app.user_totals is
'One row per user who ever followed anyone or was followed; no row means zeros.';
comment on column app.user_totals.user_id is 'User being counted.';
comment on column app.user_totals.followers is 'Users who follow them now (count).';
comment on column app.user_totals.followings is 'Users they follow now (count).';
