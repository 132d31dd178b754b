-- import_value_problem(kind, digits, is_required, value): what is wrong with one value of an
-- imported file, in words for the person who repairs the file; null when nothing is.
create or replace function app.import_value_problem(
    p_kind text, p_digits integer, p_is_required boolean, p_value text
)
returns text
language plpgsql
stable
as $$
declare
    -- A file may hold anything; its reader's terminal should not.
    v_shown constant text := quote_literal(
        left(regexp_replace(p_value, '[[:cntrl:]]', '?', 'g'), 40)
    );
begin
    if p_kind = 'unread' then
        return null;
    end if;
    if coalesce(p_value, '') = '' then
        return case when p_is_required then 'is empty' end;
    end if;

    case p_kind
        when 'integer' then
            if p_value !~ '^[0-9]+$' then
                return format('%s is not a whole number of 0 or more', v_shown);
            end if;
            if length(p_value) > p_digits or not pg_input_is_valid(p_value, 'bigint') then
                return format('%s is too large', v_shown);
            end if;
        when 'decimal' then
            if p_value !~ format('^[0-9]{1,%s}(\.[0-9]*)?$', p_digits) then
                return format('%s is not a number of 0 or more', v_shown);
            end if;
        when 'flag' then
            if p_value not in ('0', '1') then
                return format('%s is neither 0 nor 1', v_shown);
            end if;
        when 'boolean' then
            if p_value not in ('true', 'false') then
                return format('%s is neither true nor false', v_shown);
            end if;
        when 'time_ms', 'time_s' then
            if p_value !~ '^[0-9]{1,13}$' then
                return format('%s is not an epoch time', v_shown);
            end if;
            -- One wrong time would otherwise become the "newest row" that shifts all others.
            if not to_timestamp(
                p_value::double precision / case p_kind when 'time_ms' then 1000 else 1 end
            ) between '2000-01-01' and now() + interval '1 day' then
                return format('%s is not between the year 2000 and tomorrow', v_shown);
            end if;
        when 'date' then
            if
                p_value !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
                or not pg_input_is_valid(p_value, 'date')
            then
                return format('%s is not a date', v_shown);
            end if;
            if not p_value::date between '2000-01-01' and current_date + 1 then
                return format('%s is not between the year 2000 and tomorrow', v_shown);
            end if;
        when 'id_list' then
            if p_value !~ format('^[0-9]{1,%1$s}( [0-9]{1,%1$s})*$', p_digits) then
                return format('%s is not a list of ids between spaces', v_shown);
            end if;
        when 'text_list' then
            if not p_value is json array
                or jsonb_path_exists(p_value::jsonb, '$[*] ? (@.type() != "string")') then
                return format('%s is not a list of texts', v_shown);
            end if;
        when 'text' then
            return null;
    end case;
    return null;
end;
$$;

comment on function app.import_value_problem(text, integer, boolean, text) is
'What is wrong with one value of an imported file, in words; null when nothing is.';
