-- like_item(viewer, type, id): the viewer likes the item; again changes nothing.
create or replace function app.like_item(p_viewer_id bigint, p_item_type text, p_item_id bigint)
returns table (like_count bigint, liked boolean, txid bigint, changed jsonb)
language sql
as $$
    select
        reaction.like_count,
        reaction.liked,
        reaction.txid,
        reaction.changed
    from app.react_to_item(p_viewer_id, p_item_type, p_item_id, 'like') as reaction
$$;

comment on function app.like_item(bigint, text, bigint) is
'Likes a video or post; returns the likes of the item (count) and whether the viewer likes it.';
