-- know_user(user): whoever holds a valid token is a user; the first thing they do makes their row.
-- A token may outlive its account (NV410).
create or replace function app.know_user(p_user_id bigint)
returns void
language plpgsql
as $$
declare
    v_is_deleted boolean;
begin
    select deleted into v_is_deleted
    from app.users
    where id = p_user_id;

    if not found then
        insert into app.users (id) values (p_user_id)
        on conflict do nothing;
    elsif v_is_deleted then
        perform app.refuse_input('NV410', 'viewer_id', 'is an account that was deleted');
    end if;
end;
$$;

comment on function app.know_user(bigint) is
'Makes sure a user has a row; raises NV410 when the account was deleted.';
