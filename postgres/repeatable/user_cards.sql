-- user_cards(viewer, ids, related, previews): what is shown of some users, and what they are to a
-- viewer at this moment, all by key. Users in `ids` come with their newest public videos, without
-- those the viewer asked not to see; deleted users do not come at all.
create or replace function app.user_cards(
    p_viewer_id bigint,
    p_ids bigint[],
    p_related_ids bigint[],
    p_previews integer
)
returns table (
    user_id bigint,
    username text,
    follower_count bigint,
    is_followed boolean,
    is_blocked boolean,
    videos jsonb
)
language sql
stable
as $$
    select
        users.id,
        users.username,
        coalesce(totals.followers, 0),
        exists (
            select 1
            from app.follows
            where
                follower_id = p_viewer_id
                and followee_id = users.id
                and not deleted
        ),
        exists (
            select 1
            from app.blocks
            where
                (blocker_id, blocked_id) in ((p_viewer_id, users.id), (users.id, p_viewer_id))
                and not deleted
        ),
        case
            when users.id = any(p_ids)
                then app.newest_videos(users.id, p_viewer_id, p_previews)
            else '[]'::jsonb
        end
    from app.users
    left join app.user_totals as totals on users.id = totals.user_id
    where
        users.id = any(p_ids || p_related_ids)
        and not users.deleted
$$;

comment on function app.user_cards(bigint, bigint[], bigint[], integer) is
'Users by id with name, followers (count), what they are to a viewer, and some of their videos.';
