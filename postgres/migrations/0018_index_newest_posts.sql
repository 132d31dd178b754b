-- What app.timeline_posts reads: an author's newest posts, the newest of all, and whether one of
-- some users blocks a viewer. Deleted posts and lifted blocks stay in their tables for ever; kept
-- out of the indexes, they cannot make these questions slow. Each order of posts ends in the id, so
-- that it is total, and each index has every column that is asked for.
create index posts_author_newest_idx on app.posts (author_id, created_at desc, id desc)
where not deleted;

drop index app.posts_author_idx;

create index posts_newest_idx on app.posts (created_at desc, id desc) include (author_id)
where not deleted;

create index blocks_blocked_idx on app.blocks (blocked_id, blocker_id) where not deleted;
