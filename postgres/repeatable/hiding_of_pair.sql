-- hiding_of_pair(one, other): whether either of two users blocks the other now, and which
-- transaction decided that; null when there never was a block. Under app.lock_user_pair the later
-- of two decisions has the larger number.
create or replace function app.hiding_of_pair(p_one_id bigint, p_other_id bigint)
returns table (is_hidden boolean, hidden_txid bigint)
language sql
as $$
    select
        coalesce(bool_or(not deleted), false),
        max(_txid)
    from app.blocks
    where (blocker_id, blocked_id) in ((p_one_id, p_other_id), (p_other_id, p_one_id))
$$;

comment on function app.hiding_of_pair(bigint, bigint) is
'Whether two users are hidden from each other now, and the transaction that decided it.';
