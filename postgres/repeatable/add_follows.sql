-- add_follows(added, taken): moves app.user_totals by rows of app.follows that came and went;
-- deleted rows are no follows. Users are locked in the order of their ids, so that two calls at
-- once cannot deadlock; what is taken away is subtracted after that, because the row proposed to an
-- upsert must itself obey "not negative".
create or replace function app.add_follows(p_added app.follows[], p_taken app.follows[])
returns void
language plpgsql
as $$
declare
    v_moves app.user_totals[];
begin
    v_moves := array(
        select row(ends.user_id, sum(ends.followers), sum(ends.followings))::app.user_totals
        from (
            select followee_id as user_id, 1 as followers, 0 as followings
            from unnest(p_added)
            where not deleted
            union all
            select follower_id, 0, 1
            from unnest(p_added)
            where not deleted
            union all
            select followee_id, -1, 0
            from unnest(p_taken)
            where not deleted
            union all
            select follower_id, 0, -1
            from unnest(p_taken)
            where not deleted
        ) as ends
        group by ends.user_id
        having sum(ends.followers) <> 0 or sum(ends.followings) <> 0
    );

    insert into app.user_totals as totals (user_id, followers, followings)
    select
        user_id,
        greatest(0, followers),
        greatest(0, followings)
    from unnest(v_moves)
    order by user_id
    on conflict (user_id) do update set
        followers = totals.followers + excluded.followers,
        followings = totals.followings + excluded.followings;

    update app.user_totals as totals
    set
        followers = totals.followers + least(0, moves.followers),
        followings = totals.followings + least(0, moves.followings)
    from unnest(v_moves) as moves
    where
        totals.user_id = moves.user_id
        and (moves.followers < 0 or moves.followings < 0);
end;
$$;

comment on function app.add_follows(app.follows[], app.follows[]) is
'Part of app.count_follows: moves followers and followings by follows that came and went.';
