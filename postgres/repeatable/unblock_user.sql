-- unblock_user(viewer, other): true when this call lifted the block, false when there was none.
create or replace function app.unblock_user(p_viewer_id bigint, p_other_id bigint)
returns boolean
language plpgsql
as $$
begin
    update app.blocks
    set deleted = true
    where
        blocker_id = p_viewer_id
        and blocked_id = p_other_id
        and not deleted;

    return found;
end;
$$;

comment on function app.unblock_user(bigint, bigint) is 'Lifts a block: true when this call did.';
