-- The last window of every captured table and source: the cursor, and whether to repeat it.
select
    source_table,
    source,
    from_txid,
    to_txid,
    is_done,
    expected_rows,
    block_rows
from raw.landing_windows final
order by
    source_table asc,
    source asc,
    from_txid desc
limit 1 by source_table, source
