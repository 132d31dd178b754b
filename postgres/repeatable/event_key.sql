-- event_key(...): the same event always has the same key, on any machine and in any language:
-- the first 8 bytes, big endian, of sha256('user:type:item:action:seconds'). Postgres' own hash
-- functions are faster but not promised to stay the same, and other writers must agree on it.
--
-- Written so that the planner can inline it (every part immutable, hence the time in UTC and the
-- plain cast to bytea): called as a function it costs six times as much.
create or replace function app.event_key(
    p_user_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_action text,
    p_event_time timestamptz
)
returns bigint
language sql
immutable
parallel safe
return substr(
    sha256(
        (
            p_user_id::text || ':' || p_item_type || ':' || p_item_id::text || ':'
            || p_action || ':'
            || floor(date_part('epoch', p_event_time at time zone 'utc'))::bigint::text
        )::bytea
    ),
    1,
    8
)::bigint;

comment on function app.event_key(bigint, text, bigint, text, timestamptz) is
'64-bit key by which an event that is sent twice is stored once.';
