"""What `./nova status` tells: every process, the landing lag, and drift of counters."""

from __future__ import annotations

import http.client
from typing import Any, cast
from urllib.parse import urlsplit

import clickhouse_connect
import msgspec
import psycopg
import redis
from clickhouse_connect.driver.exceptions import ClickHouseError
from msgspec import Struct

from api.modelserver.reports import REPORT_KEY as EMBEDDING_KEY
from api.settings import Settings, without_password
from api.stack.process import StartError
from api.stack.system import STORES, ApiProcess, Store, System


class ProcessStatus(Struct):
    """One server or program."""

    name: str
    health: str
    healthy: bool
    port: int | None = None
    pid: int | None = None
    what: str = ""


class LandingLag(Struct):
    """How far one landing table is behind Postgres (milliseconds)."""

    table: str
    lag_ms: int


class CounterDrift(Struct):
    """What reconciliation found about counters in Redis since it began; see `Report` there."""

    item_type: str
    compared: int
    drifted: int
    repaired: int
    ahead: int
    oldest_drift_ms: int
    lag_ms: int


class EmbeddingState(Struct):
    """What the embedding worker said about one version; see `EmbeddingReport`."""

    model_version: str
    stored: int
    batches: dict[str, int]
    refused: dict[str, int]
    left: int
    is_open: bool


class SystemStatus(Struct):
    """The whole system; healthy when every part is."""

    healthy: bool
    url: str
    processes: list[ProcessStatus]
    landing: list[LandingLag]
    counters: list[CounterDrift]
    embeddings: list[EmbeddingState]


def answers(store: Store, settings: Settings) -> bool:
    """Say whether a store takes a request within about a second, ours or somebody else's."""
    try:
        match store:
            case "postgres":
                with psycopg.connect(settings.postgres_url, connect_timeout=2):
                    return True
            case "redis":
                with redis.Redis.from_url(settings.redis_url, socket_timeout=1) as client:
                    return bool(client.ping())
            case "clickhouse":
                with clickhouse_connect.get_client(
                    dsn=settings.clickhouse_url, connect_timeout=2, send_receive_timeout=2
                ) as client:
                    return bool(client.ping())
    except (psycopg.Error, redis.RedisError, ClickHouseError, http.client.HTTPException, OSError):
        return False


def require_stores(settings: Settings) -> None:
    """Raise `StartError`, naming it, when a store does not answer."""
    for store in STORES:
        if not answers(store, settings):
            address = without_password(getattr(settings, f"{store}_url"))
            raise StartError(f"{store} does not answer at {address}; is `./nova up` running?")


def reported(settings: Settings, key: str) -> dict[str, dict[str, Any]]:
    """Return what a worker last reported, by name; empty when Redis is away."""
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=1) as client:
            fields = cast("dict[bytes, bytes]", client.hgetall(key))
    except redis.RedisError:
        return {}
    return {name.decode(): msgspec.json.decode(value) for name, value in sorted(fields.items())}


def landing_lags(settings: Settings) -> list[LandingLag]:
    """Return how far the landing worker said each table is behind."""
    return [
        LandingLag(table=table, lag_ms=int(lag.get("lag_ms", 0)))
        for table, lag in reported(settings, "nova:landing").items()
    ]


def counter_drift(settings: Settings) -> list[CounterDrift]:
    """Return what the reconciliation worker said about the counters of each type."""
    return [
        msgspec.convert({"item_type": item_type, **report}, CounterDrift)
        for item_type, report in reported(settings, "nova:reconciliation").items()
    ]


def embedding_states(settings: Settings) -> list[EmbeddingState]:
    """Return what the embedding worker said about the versions it computes."""
    return [
        msgspec.convert({"model_version": version, **report}, EmbeddingState)
        for version, report in reported(settings, EMBEDDING_KEY).items()
    ]


def status_of(system: System) -> SystemStatus:
    """Look at every part of a system; a part that hangs costs two seconds at most."""
    identity = system.identity()
    if identity is None:
        return SystemStatus(
            healthy=False, url="", processes=[], landing=[], counters=[], embeddings=[]
        )
    settings = Settings.from_environ(system.environment(identity))
    servers = system.servers(identity)
    lines = []
    for store in STORES:
        address = getattr(settings, f"{store}_url")
        server = servers.get(store)
        process = server.process if server else None
        # A stranger on the port of a server of ours that is gone is not asked.
        up = (process is not None or server is None) and answers(store, settings)
        lines.append(
            ProcessStatus(
                name=store,
                health="up" if up else ("not answering" if process or not server else "down"),
                healthy=up,
                port=urlsplit(address).port,
                pid=process.pid if process else None,
                what="embedded" if server else without_password(address),
            )
        )
    for program in system.programs(identity):
        process = program.process
        up = process is not None and program.answers()
        lines.append(
            ProcessStatus(
                name=program.name,
                health="up" if up else ("not answering" if process else "down"),
                healthy=up,
                port=program.port if isinstance(program, ApiProcess) else None,
                pid=process.pid if process else None,
            )
        )
    return SystemStatus(
        healthy=all(line.healthy for line in lines),
        url=settings.public_base_url,
        processes=lines,
        landing=landing_lags(settings),
        counters=counter_drift(settings),
        embeddings=embedding_states(settings),
    )
