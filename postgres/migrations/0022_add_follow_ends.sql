-- When a follow ended, for the growth of a user's followers: new follows less those that ended.
-- Kept when the follow is made again, so that ending and making it anew is not taken for growth.
-- Without a default no row is written; ends of before stay unknown.
alter table app.follows add column ended_at timestamptz;

comment on column app.follows.ended_at is
'When the follow last ended (UTC), also after it was made again; null when it never did.';
