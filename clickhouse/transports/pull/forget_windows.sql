-- Drops windows that are history: done, before the cursor, and old.
delete from raw.landing_windows
where
    source_table = {source_table:String} -- noqa: PRS, LT02
    and source = {source:String}
    and to_txid < {cursor_txid:UInt64}
    and recorded_at < {recorded_before:DateTime64(3, 'UTC')}
