-- react_to_item(viewer, type, id, action): like or unlike; what app.like_item and app.unlike_item
-- share. Returns the state after the call, whether or not it changed anything.
--
-- A viewer may press twice within a second, but a second holds each event only once. So the event
-- is dated a second after the pair's last one if need be, and none is lost.
create or replace function app.react_to_item(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_action text
)
returns table (like_count bigint, liked boolean)
language plpgsql
as $$
declare
    v_changed_at timestamptz;
begin
    select likes.changed_at
    into v_changed_at
    from app.likes
    where
        likes.user_id = p_viewer_id
        and likes.item_type = p_item_type
        and likes.item_id = p_item_id
    for update;

    perform app.record_action(
        p_viewer_id,
        p_item_type,
        p_item_id,
        p_action,
        greatest(clock_timestamp(), v_changed_at + interval '1 second')
    );

    return query
    select
        app.item_count(p_item_type, p_item_id, 'likes'),
        exists (
            select 1
            from app.likes
            where
                likes.user_id = p_viewer_id
                and likes.item_type = p_item_type
                and likes.item_id = p_item_id
                and not likes.deleted
        );
end;
$$;

comment on function app.react_to_item(bigint, text, bigint, text) is
'Part of app.like_item and app.unlike_item: likes of the item (count), whether the viewer does.';
