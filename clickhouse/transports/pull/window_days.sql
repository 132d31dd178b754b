-- The first day a window of events touches: where a recount after a crash begins.
select toStartOfDay(min(event_time)) as since
from raw.events
where _txid > {from_txid:UInt64} and _txid <= {to_txid:UInt64} -- noqa: PRS
