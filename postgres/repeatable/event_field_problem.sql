-- event_field_problem(field, value, action): what is wrong with one field of what a client reports,
-- in words; null when nothing is. The texts of all refusals; the rules are the functions is_….
-- The action is that of the event, whatever it is.
create or replace function app.event_field_problem(
    p_field text,
    p_value jsonb,
    p_action text
)
returns text
language plpgsql
stable
as $$
declare
    -- As text, like `->>`: null when the field is missing or null.
    v_text constant text := p_value #>> '{}';
begin
    case p_field
        when 'event_time' then
            if app.is_event_time(v_text) is not true then
                return 'must be an RFC 3339 time with offset';
            elsif not app.is_timely(v_text::timestamptz) then
                return 'must be at most five minutes ahead';
            elsif not app.is_recent(v_text::timestamptz) then
                return 'must not be older than 30 days';
            elsif not app.has_event_partition(v_text::timestamptz) then
                return 'must be in a week that has a partition';
            end if;
        when 'item_id', 'video_id' then
            if app.is_id(v_text) is not true then
                return 'must be a 63-bit id, as a string or a number';
            end if;
        when 'item_type' then
            if app.is_item_type(v_text) is not true then
                return 'must be video or post';
            end if;
        when 'action' then
            if app.is_client_action(v_text) is not true then
                return 'must be impression, view, dwell, like, unlike, comment, share, '
                    'not_interested, follow_from_item or profile_visit';
            end if;
        when 'dwell_ms' then
            if app.is_whole_number(v_text, 3600000) is false then
                return 'must be a whole number from 0 to 3600000';
            end if;
        when 'watch_ms' then
            if app.is_whole_number(v_text, 86400000) is false then
                return 'must be a whole number from 0 to 86400000';
            elsif v_text::integer > 0 and p_action is distinct from 'view' then
                return 'must be 0 unless the action is view';
            end if;
        when 'completion' then
            if app.is_rate(p_value) is false then
                return 'must be a number from 0 to 1';
            elsif v_text is not null and p_action is distinct from 'view' then
                return 'must be absent unless the action is view';
            end if;
        when 'device' then
            if app.is_device(p_value) is not true then
                return 'must be a text of 1 to 200 characters';
            end if;
        when 'app_ver' then
            if app.is_semantic_version(v_text) is not true then
                return 'must be a semantic version, such as 2.10.3';
            end if;
        when 'feed_request_id' then
            if app.is_uuid(v_text) is false then
                return 'must be a UUID';
            end if;
    end case;

    return null;
end;
$$;

comment on function app.event_field_problem(text, jsonb, text) is
'What is wrong with a field of an event as a client sends it, in words; null when nothing is.';
