-- live_followers(user, most): who is to hear of what a user publishes; null when they are more than
-- `most`. Reads one row more than that, however many there are.
create or replace function app.live_followers(p_user_id bigint, p_most integer)
returns bigint[]
language sql
stable
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    select case when count(*) <= p_most then coalesce(array_agg(first.follower_id), '{}') end
    from (
        select follower_id
        from app.follows
        where
            followee_id = p_user_id
            and not deleted
        limit p_most::bigint + 1
    ) as first
$$;

comment on function app.live_followers(bigint, integer) is
'Ids of the users who follow a user now; null when they are more than the given number.';
