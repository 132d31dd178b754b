-- follower_count(user): users who follow them now.
create or replace function app.follower_count(p_user_id bigint)
returns bigint
language sql
stable
as $$
    select coalesce((select followers from app.user_totals where user_id = p_user_id), 0)
$$;

comment on function app.follower_count(bigint) is 'Followers of a user now (count).';
