-- is_whole_number(text, most): from 0 to `most`, in digits; null for null.
create or replace function app.is_whole_number(p_text text, p_most integer)
returns boolean
language sql
stable
parallel safe
return case
    when p_text is null then null
    when translate(p_text, '0123456789', '') = '' and length(p_text) between 1 and 9
        then p_text::integer <= p_most
    else false
end;

comment on function app.is_whole_number(text, integer) is
'Whether a text is a whole number from 0 to this, in digits; null for null.';
