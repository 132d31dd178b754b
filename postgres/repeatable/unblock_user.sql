-- unblock_user(viewer, other): lifts a block; again changes nothing.
create or replace function app.unblock_user(p_viewer_id bigint, p_other_id bigint)
returns table (blocked boolean, txid bigint, changed jsonb)
language plpgsql
as $$
begin
    perform app.require_other_user(p_viewer_id, p_other_id, 'blocked_id');

    update app.blocks
    set deleted = true
    where
        blocker_id = p_viewer_id
        and blocked_id = p_other_id
        and not deleted;

    return query select false, app.current_txid(), '[]'::jsonb;
end;
$$;

comment on function app.unblock_user(bigint, bigint) is
'Lifts a block; returns whether the user is blocked now.';
