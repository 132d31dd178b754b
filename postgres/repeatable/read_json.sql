-- read_json(text, field): a request's body, or a refusal (NV400) that names the field. JSON can say
-- more than Postgres keeps: \u0000, half a surrogate pair, numbers of a million digits, lists in
-- lists ten thousand deep. Cast by the caller, those would be errors of the database.
create or replace function app.read_json(p_text text, p_field text)
returns jsonb
language plpgsql
stable
as $$
begin
    return p_text::jsonb;
exception
    when data_exception or program_limit_exceeded then
        perform app.refuse_input(
            'NV400', p_field, 'must be JSON whose texts and numbers can be stored: no \u0000'
        );
        return null;
end;
$$;

comment on function app.read_json(text, text) is
'JSON from its text; raises NV400 for what is none, or cannot be stored.';
