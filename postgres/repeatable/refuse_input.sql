-- refuse_input(...): the one way a function says no to what it was given. The caller finds every
-- fault in the detail, as json: {"errors": [{"index", "field", "message"}]}. Index is the place in
-- a batch, from 0, and null outside batches.
create or replace function app.refuse_input(p_code text, p_errors jsonb)
returns void
language plpgsql
as $$
begin
    raise exception using
        errcode = p_code,
        message = concat_ws(
            ' ',
            'event ' || (p_errors #>> '{0,index}') || ':',
            p_errors #>> '{0,field}',
            p_errors #>> '{0,message}'
        ),
        detail = jsonb_build_object('errors', p_errors);
end;
$$;

comment on function app.refuse_input(text, jsonb) is
'Raises NV400 (bad input), NV403 (not yours), NV404 (never existed), NV410 (deleted), NV422 '
'(request key of another request) or NV429 (too quick), with a list of index, field and message.';

create or replace function app.refuse_input(
    p_code text,
    p_field text,
    p_message text,
    p_index bigint default null
)
returns void
language sql
as $$
    select app.refuse_input(
        p_code,
        jsonb_build_array(
            jsonb_build_object('index', p_index, 'field', p_field, 'message', p_message)
        )
    )
$$;

comment on function app.refuse_input(text, text, text, bigint) is
'Raises a refusal of one field.';
