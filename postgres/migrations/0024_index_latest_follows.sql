-- A timeline asks for whom a viewer followed last, up to a limit: read in this order, from the
-- index alone, it costs the same however many they follow.
--
-- Writers of follows wait while it is built on what is there.
create index follows_latest_idx on app.follows (follower_id, created_at desc, followee_id desc)
where not deleted;
