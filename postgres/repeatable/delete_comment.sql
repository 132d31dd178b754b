-- delete_comment(viewer, comment): the viewer takes their own comment back. True when this call
-- did, false when it was gone.
create or replace function app.delete_comment(p_viewer_id bigint, p_comment_id bigint)
returns boolean
language plpgsql
as $$
declare
    v_comment record;
begin
    select
        user_id,
        item_type,
        item_id,
        deleted
    into v_comment
    from app.comments
    where id = p_comment_id
    for update;

    if not found then
        perform app.refuse_input(
            'NV404', 'comment_id', format('names no comment: %s', p_comment_id)
        );
    elsif v_comment.user_id <> p_viewer_id then
        perform app.refuse_input('NV403', 'comment_id', 'is not a comment of this viewer');
    elsif v_comment.deleted then
        return false;
    end if;

    update app.comments
    set deleted = true
    where id = p_comment_id;

    perform app.record_comment_event(
        p_viewer_id, v_comment.item_type, v_comment.item_id, 'uncomment'
    );
    return true;
end;
$$;

comment on function app.delete_comment(bigint, bigint) is
'Takes a comment of one''s own back: true when this call did.';
