-- is_client_action(text): what a client may report. "uncomment" is not among them: it follows from
-- app.delete_comment only, which knows whose comment it was.
create or replace function app.is_client_action(p_text text)
returns boolean
language sql
immutable
parallel safe
return p_text in (
    'impression', 'view', 'dwell', 'like', 'unlike', 'comment', 'share', 'not_interested',
    'follow_from_item', 'profile_visit'
);

comment on function app.is_client_action(
    text
) is 'Whether a text is an action that a client reports.';
