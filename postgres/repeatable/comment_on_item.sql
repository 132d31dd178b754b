-- comment_on_item(viewer, type, id, body): adds a comment; returns its id and the item's comments.
create or replace function app.comment_on_item(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_body text
)
returns table (comment_id bigint, comment_count bigint)
language plpgsql
as $$
declare
    v_comment_id bigint;
begin
    if (p_body ~ '\S') is not true then
        perform app.refuse_input('NV400', 'body', 'must say something');
    end if;

    -- First, because it makes the viewer known.
    perform app.record_comment_event(p_viewer_id, p_item_type, p_item_id, 'comment');

    insert into app.comments (user_id, item_type, item_id, body)
    values (p_viewer_id, p_item_type, p_item_id, p_body)
    returning id into v_comment_id;

    return query select v_comment_id, app.item_count(p_item_type, p_item_id, 'comments');
end;
$$;

comment on function app.comment_on_item(bigint, text, bigint, text) is
'Adds a comment; returns its id and the comments of the item (count).';
