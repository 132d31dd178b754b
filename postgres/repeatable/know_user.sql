-- know_user(user): whoever holds a valid token is a user; the first thing they do makes their row.
create or replace function app.know_user(p_user_id bigint)
returns void
language sql
as $$
    insert into app.users (id)
    select p_user_id
    where not exists (select 1 from app.users where id = p_user_id)
    on conflict do nothing
$$;

comment on function app.know_user(bigint) is 'Makes sure a user has a row.';
