-- is_id(text): a 63-bit id, in digits; what JSON's numbers and strings of digits both become.
create or replace function app.is_id(p_text text)
returns boolean
language sql
stable
parallel safe
return translate(p_text, '0123456789', '') = '' and pg_input_is_valid(p_text, 'bigint');

comment on function app.is_id(text) is 'Whether a text is a 63-bit id, in digits.';
