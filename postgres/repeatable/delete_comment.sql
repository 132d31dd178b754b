-- delete_comment(viewer, type, id, comment): the viewer takes their own comment back; again changes
-- nothing. `was_deleted` is whether this call did it.
create or replace function app.delete_comment(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_comment_id bigint
)
returns table (comment_count bigint, was_deleted boolean, txid bigint, changed jsonb)
language plpgsql
as $$
declare
    v_comment record;
begin
    perform app.require_item(p_item_type, p_item_id);

    select
        user_id,
        deleted
    into v_comment
    from app.comments
    where
        id = p_comment_id
        and item_type = p_item_type
        and item_id = p_item_id
    for update;

    if not found then
        perform app.refuse_input(
            'NV404', 'comment_id', format('names no comment of this %s: %s', p_item_type, p_comment_id)
        );
    elsif v_comment.user_id <> p_viewer_id then
        perform app.refuse_input('NV403', 'comment_id', 'is not a comment of this viewer');
    end if;

    was_deleted := not v_comment.deleted;
    if was_deleted then
        update app.comments
        set deleted = true
        where id = p_comment_id;

        perform app.record_repeatable_action(p_viewer_id, p_item_type, p_item_id, 'uncomment');
    end if;

    changed := app.changed_items(p_item_type, p_item_id);
    comment_count := changed #> '{0,6}';
    txid := app.current_txid();
    return next;
end;
$$;

comment on function app.delete_comment(bigint, text, bigint, bigint) is
'Takes a comment of one''s own back; returns the comments of the item (count), and whether this '
'call did it.';
