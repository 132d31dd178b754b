-- Switches that change behaviour without a release.
create table app.flags (
    name text not null,
    enabled boolean not null default false,
    payload jsonb not null default '{}',
    updated_at timestamptz not null default now(),

    constraint flags_pkey primary key (name),
    constraint flag_name_is_a_lower_case_word check (name ~ '^[a-z][a-z0-9_.]*$'),
    constraint flag_payload_is_an_object check (jsonb_typeof(payload) = 'object')
);

comment on table app.flags is 'One row per feature flag. A flag without a row is off.';
comment on column app.flags.name is 'Lower-case words joined by underscores or dots.';
comment on column app.flags.enabled is 'Whether the feature is on.';
comment on column app.flags.payload is 'Settings of the feature, as an object.';
comment on column app.flags.updated_at is 'When it was last changed (UTC).';
