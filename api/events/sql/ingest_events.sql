-- A client's batch of events, all or nothing.
select
    received,
    deduped,
    queued,
    txid,
    changed
from app.ingest_events(%(viewer_id)s::bigint, %(events)s::jsonb)
