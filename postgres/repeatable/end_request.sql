-- end_request(user, function, key, answer): keeps the answer for those who ask again.
create or replace function app.end_request(
    p_user_id bigint,
    p_function_name text,
    p_request_key text,
    p_answer jsonb
)
returns void
language sql
as $$
    update app.request_keys
    set answer = p_answer
    where
        user_id = p_user_id
        and function_name = p_function_name
        and request_key = p_request_key
$$;

comment on function app.end_request(bigint, text, text, jsonb) is
'Keeps the answer to a request that app.begin_request let through.';
