-- Which of these posts has a viewer seen, and when: answered from the index alone. It covers views
-- of posts and nothing else, so that other events cost it no more than a comparison, and it goes
-- with its partition. Weeks that are made later get it too (app.ensure_event_partitions).
--
-- Writers wait while it is built on what is there.
create index events_seen_posts_idx on app.events (user_id, item_id, event_time)
where item_type = 'post' and action = 'view';
