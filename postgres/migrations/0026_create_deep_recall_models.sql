-- Which embeddings there are, and which of them are served. A version's name ends with its number
-- of dimensions (co_watch_v1-64d), so a vector of another length is refused wherever the name is
-- known, without asking anybody.
create table app.deep_recall_models (
    model_version text not null,
    provider text not null, -- noqa: RF04
    dimensions integer not null,
    active boolean not null default false,
    metrics jsonb not null default '{}',
    created_at timestamptz not null default now(),
    activated_at timestamptz,
    deleted boolean not null default false,
    _txid bigint not null default pg_current_xact_id()::text::bigint,
    _version bigint not null default nextval('app.change_version'),

    constraint deep_recall_models_pkey primary key (model_version),
    constraint model_version_names_its_dimensions check (
        model_version ~ '^[a-z0-9][a-z0-9_.]{0,62}-[1-9][0-9]{1,2}d$'
        and substring(model_version from '-([0-9]+)d$')::integer = dimensions
    ),
    constraint model_has_64_to_512_dimensions check (dimensions between 64 and 512),
    constraint model_comes_from_a_known_provider check (provider in ('sql', 'tensorflow_serving')),
    constraint model_metrics_are_an_object check (jsonb_typeof(metrics) = 'object'),
    constraint active_model_was_activated check (not active or activated_at is not null),
    constraint active_model_is_there check (not (active and deleted))
);

create index deep_recall_models_txid_idx on app.deep_recall_models (_txid);
create unique index deep_recall_models_one_active_idx on app.deep_recall_models (active)
where active;

comment on table app.deep_recall_models is 'One row per version of embeddings.';
comment on column app.deep_recall_models.model_version is
'Lower-case words, then a dash, the dimensions and "d": co_watch_v1-64d.';
comment on column app.deep_recall_models.provider is
'Who computes the embeddings: sql (ClickHouse itself) or tensorflow_serving.';
comment on column app.deep_recall_models.dimensions is 'Length of every vector of the version.';
comment on column app.deep_recall_models.active is
'Whether feeds and similar videos use this version; at most one does.';
comment on column app.deep_recall_models.metrics is
'What was measured of the version before it was activated, by name.';
comment on column app.deep_recall_models.created_at is 'When it was registered (UTC).';
comment on column app.deep_recall_models.activated_at is
'When it was last activated (UTC); null when it never was.';
comment on column app.deep_recall_models.deleted is
'True once the version is withdrawn; the row stays for readers of changes.';
comment on column app.deep_recall_models._txid is
'Transaction that last wrote the row; capture reads by it.';
comment on column app.deep_recall_models._version is
'Grows with every change of the row; the largest is current.';

-- The default needs no model server.
insert into app.deep_recall_models (model_version, provider, dimensions, active, activated_at)
values ('co_watch_v1-64d', 'sql', 64, true, now());
