-- The memory of the pull transport: one row per window of transactions it set out to land.
--
-- A window is written as open before its rows are read, and again as done after they are stored.
-- Whoever opens a window at `from_txid` first decides where it ends: every opening of one start
-- carries the same insert_deduplication_token, so a second one is dropped by the deduplication
-- window below, and its writer reads back the first. That keeps two workers harmless even when
-- one of them wakes up long after it lost its lock.
--
-- No TTL: the last window of a table is the cursor. The worker forgets older ones after a week.
create table if not exists raw.landing_windows ${on_cluster} (
    source_table LowCardinality(String) comment 'Captured table in Postgres, without its schema',
    source LowCardinality(String) comment 'Postgres as system identifier/timeline/database',
    from_txid UInt64 comment 'Window starts after this transaction',
    to_txid UInt64 comment 'Window ends with this transaction',
    is_done UInt8 comment '0 when opened, 1 when every row is stored; the larger wins',
    expected_rows UInt64 comment 'Rows the window held when it was opened (count)',
    block_rows UInt32 comment 'Rows per block; a repeat must cut the same blocks (count)',
    recorded_at DateTime64(3, 'UTC') default now64(3) comment 'When this was written (UTC)'
)
engine = ${replicated}ReplacingMergeTree(is_done)
order by (source_table, source, from_txid)
settings
index_granularity = 256,
non_replicated_deduplication_window = 10000,
replicated_deduplication_window = 10000,
replicated_deduplication_window_seconds = 604800
comment 'One row per captured table and window, with FINAL. Written by the landing worker.';
