-- follow_user(viewer, other): the viewer follows a user; again changes nothing. A pair that was
-- undone before comes back in its old row, with a new time.
create or replace function app.follow_user(p_viewer_id bigint, p_other_id bigint)
returns table (following boolean, follower_count bigint, txid bigint, changed jsonb)
language plpgsql
as $$
begin
    perform app.require_other_user(p_viewer_id, p_other_id, 'followee_id');

    insert into app.follows as pairs (follower_id, followee_id)
    values (p_viewer_id, p_other_id)
    on conflict (follower_id, followee_id) do update set
        deleted = false,
        created_at = excluded.created_at
    where pairs.deleted;

    return query
    select true, app.follower_count(p_other_id), app.current_txid(), '[]'::jsonb;
end;
$$;

comment on function app.follow_user(bigint, bigint) is
'The viewer follows a user; returns whether they do now, and the user''s followers (count).';
