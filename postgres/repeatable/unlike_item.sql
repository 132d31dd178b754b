-- unlike_item(viewer, type, id): the viewer no longer likes the item; again changes nothing.
create or replace function app.unlike_item(p_viewer_id bigint, p_item_type text, p_item_id bigint)
returns table (like_count bigint, liked boolean, txid bigint, changed jsonb)
language sql
as $$
    select
        reaction.like_count,
        reaction.liked,
        reaction.txid,
        reaction.changed
    from app.react_to_item(p_viewer_id, p_item_type, p_item_id, 'unlike') as reaction
$$;

comment on function app.unlike_item(bigint, text, bigint) is
'Takes a like back; returns the likes of the item (count) and whether the viewer likes it.';
