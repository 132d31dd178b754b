-- unhidden_posts(viewer, posts, authors, seen_since): which of these posts a viewer may be shown:
-- none of their own, none they have seen since, none of whom they block or who blocks them. Seen
-- is what raw.user_watch_history calls seen: a view, whichever way it was reported.
create or replace function app.unhidden_posts(
    p_viewer_id bigint,
    p_post_ids bigint[],
    p_author_ids bigint[],
    p_seen_since timestamptz
)
returns bigint[]
language sql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
    select coalesce(array_agg(posts.id), '{}')
    from unnest(p_post_ids, p_author_ids) as posts (id, author_id)
    where
        posts.author_id <> p_viewer_id
        and posts.id not in (
            select events.item_id
            from app.events
            where
                events.user_id = p_viewer_id
                and events.item_type = 'post'
                and events.action = 'view'
                and events.item_id = any(p_post_ids)
                and events.event_time > p_seen_since
        )
        and posts.author_id not in (
            select blocks.blocked_id
            from app.blocks
            where
                blocks.blocker_id = p_viewer_id
                and blocks.blocked_id = any(p_author_ids)
                and not blocks.deleted
        )
        and posts.author_id not in (
            select blocks.blocker_id
            from app.blocks
            where
                blocks.blocked_id = p_viewer_id
                and blocks.blocker_id = any(p_author_ids)
                and not blocks.deleted
        )
$$;

comment on function app.unhidden_posts(bigint, bigint[], bigint[], timestamptz) is
'Those of some posts that are not a viewer''s own, not seen, and of nobody in a block with them.';
