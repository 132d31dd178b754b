-- The window that starts after a transaction, as its first opener wrote it.
select
    source_table,
    source,
    from_txid,
    to_txid,
    is_done,
    expected_rows,
    block_rows
from raw.landing_windows final
where
    source_table = {source_table:String} -- noqa: PRS, LT02
    and source = {source:String}
    and from_txid = {from_txid:UInt64}
