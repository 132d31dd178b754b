-- begin_request(user, function, key, request): null when the request is to be carried out, else
-- what was answered to it before. Without a key every request is a new one.
--
-- The row is made first and locks the key until commit: of two equal requests at once the second
-- waits here, then answers like the first. app.end_request adds the answer.
create or replace function app.begin_request(
    p_user_id bigint,
    p_function_name text,
    p_request_key text,
    p_request jsonb
)
returns jsonb
language plpgsql
as $$
declare
    v_sha256 constant bytea := sha256(convert_to(p_request::text, 'UTF8'));
    v_earlier record;
begin
    if p_request_key is null then
        return null;
    elsif length(p_request_key) not between 1 and 255 then
        perform app.refuse_input('NV400', 'request_key', 'must be a text of 1 to 255 characters');
    end if;

    loop
        insert into app.request_keys as keys (user_id, function_name, request_key, request_sha256)
        values (p_user_id, p_function_name, p_request_key, v_sha256)
        on conflict (user_id, function_name, request_key) do update set
            request_sha256 = excluded.request_sha256,
            answer = null,
            created_at = excluded.created_at
        -- Expired, and only not yet deleted.
        where keys.created_at < now() - interval '24 hours';
        if found then
            return null;
        end if;

        select
            request_sha256,
            answer
        into v_earlier
        from app.request_keys
        where
            user_id = p_user_id
            and function_name = p_function_name
            and request_key = p_request_key;
        -- Not found: it expired and was deleted meanwhile.
        exit when found;
    end loop;

    if v_earlier.request_sha256 <> v_sha256 then
        perform app.refuse_input('NV422', 'request_key', 'was used before, with another request');
    end if;

    return v_earlier.answer;
end;
$$;

comment on function app.begin_request(bigint, text, text, jsonb) is
'Claims a request key: null when the request is new, else the answer it had; NV422 when the key '
'belongs to another request.';
