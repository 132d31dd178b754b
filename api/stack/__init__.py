"""Servers we can start ourselves: embedded Postgres, Redis and ClickHouse, each one process."""
