"""
ClickHouse's HTTP interface over the engine inside this process (chDB).

`python -m clickhouse.embedded --data-dir DIR` is a ClickHouse server for one machine: dbt,
clickhouse-connect and curl speak to it as to any other. See docs/decisions for why it exists.
"""
