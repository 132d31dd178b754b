-- One row per table of `raw` that holds anything: its rows (count) and their size on disk (bytes).
select
    name as table_name,
    total_rows as row_count,
    total_bytes as stored_bytes
from system.tables
where
    database = 'raw'
    and total_rows > 0
order by total_bytes desc
