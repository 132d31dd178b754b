-- Everything that lands from Postgres or is counted while landing. Nothing here can be rebuilt
-- from elsewhere in ClickHouse, so all of it is migrations; what dbt can rebuild lives in `nova`.
create database if not exists raw ${on_cluster};
