-- A new post asks for its author's followers, up to a limit. Ended follows stay in the table for
-- ever; kept out of the index, they cannot make that question slow.
create index follows_followers_idx on app.follows (followee_id, follower_id) where not deleted;

drop index app.follows_followee_idx;
