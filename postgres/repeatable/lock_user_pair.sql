-- lock_user_pair(one, other): until the transaction ends, nobody else follows or blocks between the
-- two, in either direction. A row to lock may not be there yet, and the users' own rows would make
-- everybody who follows the same creator wait for each other.
create or replace function app.lock_user_pair(p_one_id bigint, p_other_id bigint)
returns void
language sql
as $$
    select pg_advisory_xact_lock(
        hashtextextended(
            format(
                'app.lock_user_pair %s %s',
                least(p_one_id, p_other_id),
                greatest(p_one_id, p_other_id)
            ),
            0
        )
    )
$$;

comment on function app.lock_user_pair(bigint, bigint) is
'Makes follows and blocks between two users wait for each other until the transaction ends.';
