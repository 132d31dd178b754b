-- hidden_posts(viewer, posts, authors, seen_since): which of these posts a viewer may not be shown:
-- their own, those they have seen since, those they are not interested in, and those of whom they
-- block or who blocks them. Seen is what raw.user_watch_history calls seen: a view, whichever way
-- it was reported.
--
-- Reads what it is asked about, never all that a viewer has seen, nor all who block them.
create or replace function app.hidden_posts(
    p_viewer_id bigint,
    p_post_ids bigint[],
    p_author_ids bigint[],
    p_seen_since timestamptz
)
returns bigint[]
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_hidden bigint[];
    v_authors bigint[];
begin
    v_hidden := array(
        select events.item_id
        from app.events
        where
            events.user_id = p_viewer_id
            and events.item_type = 'post'
            and events.action = 'view'
            and events.item_id = any(p_post_ids)
            and events.event_time > p_seen_since
        union all
        select exclusions.post_id
        from app.not_interested_posts as exclusions
        where
            exclusions.user_id = p_viewer_id
            and exclusions.post_id = any(p_post_ids)
            and not exclusions.deleted
    );

    v_authors := array(
        select blocks.blocked_id
        from app.blocks
        where
            blocks.blocker_id = p_viewer_id
            and blocks.blocked_id = any(p_author_ids)
            and not blocks.deleted
        union all
        select blocks.blocker_id
        from app.blocks
        where
            blocks.blocked_id = p_viewer_id
            and blocks.blocker_id = any(p_author_ids)
            and not blocks.deleted
    );

    if p_viewer_id = any(p_author_ids) then
        v_authors := v_authors || p_viewer_id;
    end if;
    if v_authors <> '{}' then
        v_hidden := v_hidden || array(
            select posts.id
            from unnest(p_post_ids, p_author_ids) as posts (id, author_id)
            where posts.author_id = any(v_authors)
        );
    end if;
    return v_hidden;
end;
$$;

comment on function app.hidden_posts(bigint, bigint[], bigint[], timestamptz) is
'Those of some posts that are a viewer''s own, that they have seen or are not interested in, or '
'whose author is in a block with them.';
