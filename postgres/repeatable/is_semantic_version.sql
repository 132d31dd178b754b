-- is_semantic_version(text): by the grammar of semver.org, with pre-release and build, and short
-- enough to be kept with every event.
create or replace function app.is_semantic_version(p_text text)
returns boolean
language sql
immutable
parallel safe
return
p_text ~ (
    '^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)'
    '(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)'
    '([.](0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?'
    '([+][0-9a-zA-Z-]+([.][0-9a-zA-Z-]+)*)?$'
)
and length(p_text) <= 100;

comment on function app.is_semantic_version(text) is
'Whether a text is a semantic version (semver.org) of at most 100 characters.';
