-- comment_on_item(viewer, type, id, body): adds a comment; two of them within a second are two.
create or replace function app.comment_on_item(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_body text,
    p_request_key text default null
)
returns table (
    comment_id bigint,
    created_at timestamptz,
    comment_count bigint,
    txid bigint,
    changed jsonb
)
language plpgsql
as $$
declare
    v_answer jsonb;
begin
    if (p_body ~ '\S') is not true then
        perform app.refuse_input('NV400', 'body', 'must say something');
    end if;

    v_answer := app.begin_request(
        p_viewer_id,
        'comment_on_item',
        p_request_key,
        jsonb_build_array(p_item_type, p_item_id, p_body)
    );
    if v_answer is null then
        -- First, because it makes the viewer known.
        perform app.record_repeatable_action(p_viewer_id, p_item_type, p_item_id, 'comment');

        insert into app.comments as written (user_id, item_type, item_id, body)
        values (p_viewer_id, p_item_type, p_item_id, p_body)
        returning
            written.id,
            written.created_at
        into comment_id, created_at;

        changed := app.changed_items(p_item_type, p_item_id);
        v_answer := jsonb_build_object(
            'comment_id', comment_id,
            'created_at', created_at,
            'comment_count', changed #> '{0,6}',
            'txid', app.current_txid()
        );
        perform app.end_request(p_viewer_id, 'comment_on_item', p_request_key, v_answer);
    end if;

    comment_id := v_answer ->> 'comment_id';
    created_at := v_answer ->> 'created_at';
    comment_count := v_answer ->> 'comment_count';
    txid := v_answer ->> 'txid';
    changed := coalesce(changed, app.changed_items(p_item_type, p_item_id));
    return next;
end;
$$;

comment on function app.comment_on_item(bigint, text, bigint, text, text) is
'Adds a comment; returns its id, its time and the comments of the item (count).';
