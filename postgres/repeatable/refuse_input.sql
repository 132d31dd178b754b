-- refuse_input(...): the one way a function says no to what it was given. The caller finds the
-- field in the detail, as json: {"index", "field", "message"}. Index is null outside batches.
create or replace function app.refuse_input(
    p_code text,
    p_field text,
    p_message text,
    p_index bigint default null
)
returns void
language plpgsql
as $$
begin
    raise exception using
        errcode = p_code,
        message = concat_ws(' ', 'event ' || p_index || ':', p_field, p_message),
        detail = jsonb_build_object('index', p_index, 'field', p_field, 'message', p_message);
end;
$$;

comment on function app.refuse_input(text, text, text, bigint) is
'Raises NV400 (bad input), NV403 (not yours) or NV404 (not there), naming the field.';
