-- share_item(viewer, type, id): one share; again within the same second it changes nothing.
create or replace function app.share_item(p_viewer_id bigint, p_item_type text, p_item_id bigint)
returns bigint
language plpgsql
as $$
begin
    perform app.record_action(p_viewer_id, p_item_type, p_item_id, 'share');
    return app.item_count(p_item_type, p_item_id, 'shares');
end;
$$;

comment on function app.share_item(bigint, text, bigint) is
'Records a share; returns the shares of the item (count).';
