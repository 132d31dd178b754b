-- What was answered to requests that carry a key of the client's, for a day: the same request sent
-- again is answered the same and does nothing. No foreign key: a row is gone in a day.
create table app.request_keys (
    user_id bigint not null,
    function_name text not null,
    request_key text not null,
    request_sha256 bytea not null,
    answer jsonb,
    created_at timestamptz not null default now(),

    constraint request_keys_pkey primary key (user_id, function_name, request_key),
    constraint request_key_is_a_short_text check (length(request_key) between 1 and 255)
);

create index request_keys_created_idx on app.request_keys (created_at);

comment on table app.request_keys is
'One row per user, function and key of a request answered in the last 24 hours.';
comment on column app.request_keys.user_id is 'User who sent the request.';
comment on column app.request_keys.function_name is
'Function that answered it, without the schema.';
comment on column app.request_keys.request_key is 'Key the client chose.';
comment on column app.request_keys.request_sha256 is
'Hash of everything else the request said: another request with this key is a mistake.';
comment on column app.request_keys.answer is
'What was answered; null only until the transaction that made the row has its answer.';
comment on column app.request_keys.created_at is 'When it was answered (UTC).';
