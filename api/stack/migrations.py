"""Bring both databases to the newest migration."""

from __future__ import annotations

from collections.abc import Mapping

from api.migrate import migrate_clickhouse, migrate_postgres
from api.settings import Settings
from api.stack.dbt import ROOT


def cluster_variables(cluster: str) -> Mapping[str, str]:
    """Return what ClickHouse migrations substitute: nothing on one node, or a cluster's words."""
    if not cluster:
        return {"on_cluster": "", "replicated": ""}
    return {"on_cluster": f"on cluster `{cluster}`", "replicated": "Replicated"}


def migrate_all(settings: Settings) -> list[str]:
    """Migrate Postgres, then ClickHouse; returns the names of what was applied."""
    return [
        *migrate_postgres(settings.postgres_url, ROOT),
        *migrate_clickhouse(
            settings.clickhouse_url,
            ROOT,
            variables=cluster_variables(settings.clickhouse_cluster),
        ),
    ]
