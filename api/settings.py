"""Every setting of the system, read once from `NOVA_*` variables into one frozen struct."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from api.actionable import ActionableError

PREFIX = "NOVA_"

# Variables with these beginnings are hand-overs to one child process (dbt's profile, the
# embedded engine's password, the tests' sizes), not settings.
HAND_OVERS = ("NOVA_DBT_", "NOVA_EMBEDDED_", "NOVA_TEST_")

SECRETS = frozenset({"jwt_secret", "cursor_secret", "milvus_token"})
ADDRESSES = frozenset(
    {
        "postgres_url",
        "redis_url",
        "clickhouse_url",
        "clickhouse_postgres_url",
        "tensorflow_serving_url",
        "milvus_url",
    }
)

Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]
Seconds = Annotated[int, Meta(ge=1, le=31_536_000)]
PoolSize = Annotated[int, Meta(ge=1, le=1_000)]
Port = Annotated[int, Meta(ge=1, le=65_535)]

SHORTEST_SECRET = 32


class SettingsError(ActionableError):
    """A `NOVA_*` variable is unknown, missing or out of range; the message names it."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a process needs to know; the environment is its only source.

    Units are in the names. `.env.example` lists every variable, and a test keeps it complete.
    """

    # ---------- stores
    postgres_url: str = "postgresql://postgres@127.0.0.1:5432/nova"
    redis_url: str = "redis://127.0.0.1:6379/0"
    clickhouse_url: str = "http://default@127.0.0.1:8123/"
    clickhouse_postgres_url: str = ""
    clickhouse_cluster: str = ""
    data_dir: str = ".nova"

    # ---------- secrets
    jwt_secret: str = ""
    jwt_public_key: str = ""
    cursor_secret: str = ""

    # ---------- service
    host: str = "127.0.0.1"
    port: Port = 8000
    workers: Annotated[int, Meta(ge=1, le=256)] = 2
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    public_base_url: str = "http://127.0.0.1:8000"
    media_base_url: str = "http://127.0.0.1:8000/media"
    rate_limit_per_minute: Annotated[int, Meta(ge=1)] = 100

    # ---------- change capture
    cdc: Literal["pull", "kafka"] = "pull"
    landing_interval_ms: Milliseconds = 100
    landing_window_rows: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 200_000

    # ---------- timeouts and pools
    clickhouse_timeout_ms: Milliseconds = 2_000
    postgres_timeout_ms: Milliseconds = 2_000
    redis_timeout_ms: Milliseconds = 250
    postgres_pool_max: PoolSize = 8
    postgres_waiting_max: PoolSize = 64
    clickhouse_pool_max: PoolSize = 2
    clickhouse_wait_ms: Milliseconds = 1_000
    redis_pool_max: PoolSize = 64

    # ---------- counters
    counters_timeout_ms: Milliseconds = 100

    # ---------- cards
    cards_timeout_ms: Milliseconds = 250

    # ---------- snapshots
    snapshot_fresh_seconds: Seconds = 60
    snapshot_ttl_seconds: Annotated[int, Meta(ge=3_600, le=31_536_000)] = 7_200
    stale_ttl_seconds: Seconds = 86_400
    max_session_items: Annotated[int, Meta(ge=500, le=100_000)] = 10_000

    # ---------- posts feed
    posts_fresh_seconds: Seconds = 120
    timeline_timeout_ms: Milliseconds = 2_000

    # ---------- feeds after a write
    landing_wait_ms: Milliseconds = 1_500
    landing_settle_ms: Milliseconds = 2_000

    # ---------- discovery
    suggested_users_fresh_seconds: Seconds = 300
    creators_fresh_seconds: Seconds = 3_600

    # ---------- embeddings from elsewhere
    tensorflow_serving_url: str = ""
    tensorflow_serving_timeout_ms: Milliseconds = 200
    milvus_url: str = ""
    milvus_token: str = ""
    milvus_timeout_ms: Milliseconds = 200

    def __post_init__(self) -> None:
        """Refuse what no single field can see."""
        if not self.jwt_secret and not self.jwt_public_key:
            raise SettingsError("set NOVA_JWT_SECRET or NOVA_JWT_PUBLIC_KEY: tokens are verified")
        for name in ("jwt_secret", "cursor_secret"):
            if (name == "cursor_secret" or self.jwt_secret) and len(
                getattr(self, name)
            ) < SHORTEST_SECRET:
                raise SettingsError(
                    f"{PREFIX}{name.upper()} must have at least {SHORTEST_SECRET} characters"
                )
        for name, schemes in (
            ("postgres_url", ("postgresql", "postgres")),
            ("redis_url", ("redis", "rediss", "unix")),
            ("clickhouse_url", ("http", "https")),
        ):
            if urlsplit(getattr(self, name)).scheme not in schemes:
                raise SettingsError(f"{PREFIX}{name.upper()} must begin with {schemes[0]}://")
        if self.tensorflow_serving_url and urlsplit(self.tensorflow_serving_url).scheme not in (
            "http",
            "https",
        ):
            raise SettingsError(f"{PREFIX}TENSORFLOW_SERVING_URL must begin with http://")

    def __repr__(self) -> str:
        """Show every field but secrets, and addresses without their passwords."""
        return (
            f"Settings({', '.join(f'{name}={value!r}' for name, value in self.public().items())})"
        )

    def public(self) -> dict[str, Any]:
        """Fields by name, fit for a log: secrets are `***`, addresses have no password."""
        shown: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name in SECRETS:
                value = "***" if value else ""
            elif name in ADDRESSES:
                value = without_password(value)
            shown[name] = value
        return shown

    @property
    def has_positions(self) -> bool:
        """Whether change capture numbers what it lands; without, a write's place is its time."""
        return self.cdc == "pull"

    @property
    def data_path(self) -> Path:
        """Where embedded servers keep their files."""
        return Path(self.data_dir).resolve()

    @property
    def postgres_url_for_clickhouse(self) -> str:
        """Postgres as ClickHouse sees it; another host than ours where containers are used."""
        return self.clickhouse_postgres_url or self.postgres_url

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """
        Read `NOVA_*` variables; keyword arguments win over them.

        Raises `SettingsError`, naming the variable, for an unknown one or a bad value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for variable, text in environ.items():
            if not variable.startswith(PREFIX) or variable.startswith(HAND_OVERS):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name not in cls.__struct_fields__:
                raise SettingsError(f"unknown variable {variable}; .env.example lists the known")
            values[name] = text
        values.update(overrides)
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as exc:
            raise SettingsError(explain(exc)) from exc


def explain(exc: msgspec.ValidationError) -> str:
    """Say a struct error in the words of the environment: `$.port` is `NOVA_PORT`."""
    message, _, path = str(exc).partition(" - at `$.")
    return f"{PREFIX}{path.rstrip('`').upper()}: {message}" if path else message


def without_password(url: str) -> str:
    """Return the address with its password, if any, replaced by `***`."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@", 1)).geturl()
