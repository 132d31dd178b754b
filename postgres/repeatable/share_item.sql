-- share_item(viewer, type, id, target): one share; again within the same second it changes nothing.
-- The target is where to, as the client names it; null when unknown.
create or replace function app.share_item(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_share_target text,
    p_request_key text default null
)
returns table (share_count bigint, txid bigint, changed jsonb)
language plpgsql
as $$
declare
    v_event_time constant timestamptz := date_trunc('second', clock_timestamp());
    v_answer jsonb;
begin
    if length(p_share_target) > 64 or p_share_target !~ '\S' then
        perform app.refuse_input('NV400', 'share_target', 'must be a text of 1 to 64 characters');
    end if;

    v_answer := app.begin_request(
        p_viewer_id,
        'share_item',
        p_request_key,
        jsonb_build_array(p_item_type, p_item_id, p_share_target)
    );
    if v_answer is null then
        if
            app.record_action(p_viewer_id, p_item_type, p_item_id, 'share', v_event_time)
            and p_share_target is not null
        then
            insert into app.shares (user_id, item_type, item_id, shared_at, share_target)
            values (p_viewer_id, p_item_type, p_item_id, v_event_time, p_share_target);
        end if;

        changed := app.changed_items(p_item_type, p_item_id);
        v_answer := jsonb_build_object(
            'share_count', changed #> '{0,5}', 'txid', app.current_txid()
        );
        perform app.end_request(p_viewer_id, 'share_item', p_request_key, v_answer);
    end if;

    share_count := v_answer ->> 'share_count';
    txid := v_answer ->> 'txid';
    changed := coalesce(changed, app.changed_items(p_item_type, p_item_id));
    return next;
end;
$$;

comment on function app.share_item(bigint, text, bigint, text, text) is
'Records a share; returns the shares of the item (count).';
