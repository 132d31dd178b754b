-- Opens a window (is_done = 0) or closes it (1). Sent with a token, so that of several openings
-- of one start the first one stands.
insert into raw.landing_windows (
    source_table,
    source,
    from_txid,
    to_txid,
    is_done,
    expected_rows,
    block_rows
)
select
    {source_table:String} as source_table, -- noqa: PRS, LT02
    {source:String} as source,
    {from_txid:UInt64} as from_txid,
    {to_txid:UInt64} as to_txid,
    {is_done:UInt8} as is_done,
    {expected_rows:UInt64} as expected_rows,
    {block_rows:UInt32} as block_rows
