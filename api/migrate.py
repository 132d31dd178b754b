"""
Migrations of both databases: numbered files once and in order, repeatable files on every run.

`postgres/migrations/NNNN_verb_noun.sql` and `clickhouse/migrations/…` hold what cannot be rebuilt.
Each file's sha256 is recorded; a file edited after it ran, a gap and a number used twice are
refused before anything is applied. `postgres/repeatable/*.sql` (functions, views, triggers) are
replaced on every run. Two runners at once are harmless, and so is a crash: the next run goes on
where it ended.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import msgspec
import psycopg
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from psycopg import errors

from api.actionable import ActionableError

FILE_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9]+(_[a-z0-9]+)+\.sql")
VARIABLE = re.compile(r"\$\{(?P<name>\w+)\}")

# Any number will do, as long as nobody else in the database takes the same one.
LOCK = int.from_bytes(b"nova-mig", "big")

# Long enough for an import's transaction to end, short enough not to stop every writer for long:
# whoever comes after a waiting `alter table` waits behind it.
LOCK_TIMEOUT = "5s"

# What a file says that names something made by a file later in the alphabet.
NOT_THERE_YET = (errors.UndefinedFunction, errors.UndefinedTable, errors.UndefinedObject)

POSTGRES_LEDGER = b"""
create schema if not exists app;

create table if not exists app.schema_migrations (
    number integer not null,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now(),

    constraint schema_migrations_pkey primary key (number)
);

comment on table app.schema_migrations is 'One row per numbered migration that was applied.';
comment on column app.schema_migrations.number is 'Number the file name begins with.';
comment on column app.schema_migrations.name is 'File name.';
comment on column app.schema_migrations.sha256 is 'Hash of the file as applied (hexadecimal).';
comment on column app.schema_migrations.applied_at is 'When it was applied (UTC).';
"""

CLICKHOUSE_LEDGER = """
create table if not exists raw.schema_migrations ${on_cluster} (
    number UInt32 comment 'Number the file name begins with',
    name String comment 'File name',
    sha256 String comment 'Hash of the file as applied (hexadecimal)',
    applied_at DateTime64(3, 'UTC') default now64(3) comment 'When it was applied (UTC)'
)
engine = ${replicated}ReplacingMergeTree(applied_at)
order by number
comment 'One row per numbered migration that was applied.'
"""


class MigrationError(ActionableError):
    """A migration is not as it should be, or failed; the message names the file."""


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes (hexadecimal)."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Applied(msgspec.Struct, frozen=True):
    """What a database remembers of a migration."""

    number: int
    name: str
    sha256: str


def migrate_postgres(url: str, root: Path) -> list[str]:
    """
    Bring a Postgres database up to date; returns the names of the files applied.

    Each file is a transaction of its own. Repeatable files run in the order of their names; one
    that needs what a later one makes waits for the next round, so names need no numbers.
    """
    migrations = read_migrations(root / "postgres" / "migrations")
    repeatable = sorted((root / "postgres" / "repeatable").glob("*.sql"))

    with psycopg.connect(url, autocommit=True, application_name="nova-migrate") as connection:
        # Held by the session: a runner that dies lets go of it.
        connection.execute("select pg_advisory_lock(%s)", (LOCK,))
        # Bodies are not checked: some read temporary tables, which exist only while they run.
        connection.execute(
            f"set client_min_messages = warning; set check_function_bodies = off;"
            f" set lock_timeout = '{LOCK_TIMEOUT}'"
        )
        connection.execute(POSTGRES_LEDGER)
        rows = connection.execute(
            "select number, name, sha256 from app.schema_migrations order by number"
        ).fetchall()
        pending = unapplied(migrations, [Applied(*row) for row in rows])
        for migration in pending:
            try:
                with connection.transaction():
                    connection.execute(migration.text.encode())
                    connection.execute(
                        "insert into app.schema_migrations (number, name, sha256)"
                        " values (%s, %s, %s)",
                        (migration.number, migration.name, migration.sha256),
                    )
            except psycopg.Error as exc:
                raise failure(migration.name, migration.text, exc) from exc
        return [*(migration.name for migration in pending), *replace_all(connection, repeatable)]


def replace_all(connection: psycopg.Connection, files: Sequence[Path]) -> list[str]:
    """Run every repeatable file, in rounds, until all have run or a round gets nowhere."""
    done: list[str] = []
    waiting = list(files)
    while waiting:
        stuck: list[tuple[Path, psycopg.Error]] = []
        for file in waiting:
            text = file.read_text(encoding="utf-8")
            try:
                with connection.transaction():
                    connection.execute(text.encode())
            except NOT_THERE_YET as exc:
                stuck.append((file, exc))
            except psycopg.Error as exc:
                raise failure(file.name, text, exc) from exc
            else:
                done.append(file.name)
        if len(stuck) == len(waiting):
            file, reason = stuck[0]
            raise failure(file.name, file.read_text(encoding="utf-8"), reason) from reason
        waiting = [file for file, _ in stuck]
    return done


def migrate_clickhouse(url: str, root: Path, *, variables: Mapping[str, str]) -> list[str]:
    """
    Bring ClickHouse up to date; returns the names of the files applied.

    ClickHouse has no transactional DDL: a file that failed half-way runs again from its start, so
    every statement must be idempotent (`if not exists`). That also makes concurrent runners
    harmless. `${name}` is replaced from `variables`; the hash is of the file as written.
    """
    migrations = read_migrations(root / "clickhouse" / "migrations")
    with clickhouse(url) as client:
        pending = unapplied(migrations, applied_in_clickhouse(client))
        for migration in pending:
            try:
                for statement in statements(substitute(migration, variables)):
                    client.command(statement)
                # Not before the first file: that one makes the database.
                client.command(substitute(Migration(0, "", CLICKHOUSE_LEDGER), variables))
                client.insert(
                    "raw.schema_migrations",
                    [[migration.number, migration.name, migration.sha256]],
                    column_names=["number", "name", "sha256"],
                )
            except ClickHouseError as exc:
                raise MigrationError(f"{migration.name} failed: {exc}") from exc
    return [migration.name for migration in pending]


def clickhouse(url: str) -> Client:
    """Connect to ClickHouse by address (http://user:password@host:port/)."""
    parts = urlsplit(url)
    return clickhouse_connect.get_client(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=parts.scheme == "https",
        autogenerate_session_id=False,
    )


def applied_in_clickhouse(client: Client) -> list[Applied]:
    """Return what ClickHouse remembers; nothing when it was never migrated."""
    if not client.command("exists table raw.schema_migrations"):
        return []
    result = client.query(
        "select number, name, sha256 from raw.schema_migrations final order by number"
    )
    return [Applied(*row) for row in result.result_rows]


def read_migrations(folder: Path) -> list[Migration]:
    """Read the numbered files of a folder; they count from 0001 without a gap."""
    migrations: list[Migration] = []
    for file in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(file.name)
        if not match:
            raise MigrationError(f"{file.name} is not named NNNN_verb_noun.sql")
        number = int(match["number"])
        if migrations and number == migrations[-1].number:
            raise MigrationError(
                f"{file.name} has the number of {migrations[-1].name}: renumber the newer one"
            )
        if number != len(migrations) + 1:
            raise MigrationError(
                f"{file.name} comes after a gap: {len(migrations) + 1:04} is missing"
            )
        migrations.append(Migration(number, file.name, file.read_text(encoding="utf-8")))
    return migrations


def unapplied(migrations: Sequence[Migration], applied: Sequence[Applied]) -> list[Migration]:
    """Return the migrations still to run, after checking that history is as it was."""
    files = {migration.number: migration for migration in migrations}
    for past in applied:
        file = files.get(past.number)
        if file is None:
            raise MigrationError(f"{past.name} was applied, but the file is gone")
        if file.name != past.name:
            raise MigrationError(f"{past.name} was applied, but is called {file.name} now")
        if file.sha256 != past.sha256:
            raise MigrationError(
                f"{past.name} was edited after it was applied: undo that, and write a new migration"
            )
    known = {past.number for past in applied}
    return [migration for migration in migrations if migration.number not in known]


def substitute(migration: Migration, variables: Mapping[str, str]) -> str:
    """Replace `${name}`; a name that nobody gave a value is refused."""

    def value(match: re.Match[str]) -> str:
        try:
            return variables[match["name"]]
        except KeyError:
            raise MigrationError(f"{migration.name} uses unknown ${{{match['name']}}}") from None

    return VARIABLE.sub(value, migration.text)


def statements(text: str) -> list[str]:
    """
    Split a file at every semicolon that ends a line.

    Not at every semicolon: column comments have them too. Lines that are comments belong to the
    statement after them, and never end one.
    """
    found: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        if line.rstrip().endswith(";") and not is_comment(line):
            found.append("\n".join(lines).rstrip().removesuffix(";"))
            lines = []
    found.append("\n".join(lines))
    return [
        statement.strip()
        for statement in found
        if any(line.strip() and not is_comment(line) for line in statement.splitlines())
    ]


def is_comment(line: str) -> bool:
    """Say whether a line holds a comment and nothing else."""
    return line.lstrip().startswith("--")


def failure(name: str, text: str, exc: psycopg.Error) -> MigrationError:
    """Say which file failed, on which line if the server knows, and why."""
    if isinstance(exc, errors.LockNotAvailable):
        return MigrationError(f"{name} waited {LOCK_TIMEOUT} for a table in use; run it again")
    position = exc.diag.statement_position
    line = f":{text.count(chr(10), 0, int(position)) + 1}" if position else ""
    return MigrationError(f"{name}{line} failed: {exc.diag.message_primary or exc}")
