-- delete_expired_request_keys(most): forgets answers given more than 24 hours ago, in steps that
-- take little time; says how many.
create or replace function app.delete_expired_request_keys(p_most integer default 1000)
returns integer
language plpgsql
as $$
declare
    v_deleted integer;
begin
    delete from app.request_keys
    where ctid = any(
        array(
            select ctid
            from app.request_keys
            where created_at < now() - interval '24 hours'
            order by created_at
            limit p_most
            for update skip locked
        )
    );
    get diagnostics v_deleted = row_count;
    return v_deleted;
end;
$$;

comment on function app.delete_expired_request_keys(integer) is
'Deletes request keys older than 24 hours, a bounded number at a time (count).';
