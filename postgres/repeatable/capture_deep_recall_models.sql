-- Change capture of embedding versions: a trigger numbers changes, a view shows what is settled.
create or replace trigger stamp_change
before update on app.deep_recall_models
for each row execute function app.stamp_change();

create or replace view app.settled_deep_recall_models as
select
    model_version,
    provider,
    dimensions,
    active,
    metrics,
    created_at,
    activated_at,
    deleted,
    _txid,
    _version
from app.deep_recall_models
where _txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

comment on view app.settled_deep_recall_models is
'Embedding versions whose last change can no longer be overtaken by a running transaction.';
