-- react_to_item(viewer, type, id, action): like or unlike; what app.like_item and app.unlike_item
-- share. Returns the state after the call, whether or not it changed anything.
--
-- A viewer may press twice within a second, but a second holds each event only once. So the event
-- is dated a second after the pair's last one if need be, and none is lost. The pair's row is made
-- and locked before that date is read: two first presses at once would both read "none", and the
-- later one would be taken for a repeat. Who is an hour ahead that way is refused (NV429).
create or replace function app.react_to_item(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_action text
)
returns table (like_count bigint, liked boolean, txid bigint, changed jsonb)
language plpgsql
as $$
declare
    v_changed_at timestamptz;
begin
    perform app.require_item(p_item_type, p_item_id);
    perform app.know_user(p_viewer_id);

    insert into app.likes as pairs (user_id, item_type, item_id, deleted)
    values (p_viewer_id, p_item_type, p_item_id, true)
    on conflict (user_id, item_type, item_id) do update set deleted = pairs.deleted where false;

    select
        not likes.deleted,
        likes.changed_at
    into liked, v_changed_at
    from app.likes
    where
        likes.user_id = p_viewer_id
        and likes.item_type = p_item_type
        and likes.item_id = p_item_id;

    if liked is distinct from (p_action = 'like') then
        if v_changed_at > clock_timestamp() + interval '1 hour' then
            perform app.refuse_input('NV429', 'item_id', 'was acted on too often, too quickly');
        end if;
        perform app.record_action(
            p_viewer_id,
            p_item_type,
            p_item_id,
            p_action,
            greatest(clock_timestamp(), v_changed_at + interval '1 second')
        );
        liked := not liked;
    end if;

    changed := app.changed_items(p_item_type, p_item_id);
    like_count := changed #> '{0,4}';
    txid := app.current_txid();
    return next;
end;
$$;

comment on function app.react_to_item(bigint, text, bigint, text) is
'Part of app.like_item and app.unlike_item: likes of the item (count), whether the viewer does.';
