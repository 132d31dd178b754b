"""
A landing worker that crashes at the worst moment, and two that are wrong on purpose.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from psycopg import sql

from api.workers.capture import CapturedTable, CaptureSource, Horizon, Outlook, Span
from api.workers.landing import Landing, main
from api.workers.windows import LandingStore, Window, statement

# Counts event windows across crashes; unset outside of the storm.
CRASH_COUNTER = "NOVA_TEST_CRASH_COUNTER"
CRASH_EVERY = 3


class CrashingStore(LandingStore):
    """Dies between storing the rows of a window and recording that they are stored."""

    def close_window(self, window: Window) -> None:
        counter = os.environ.get(CRASH_COUNTER)
        if counter and window.source_table == "events":
            path = Path(counter)
            closed = int(path.read_text() or 0) + 1 if path.exists() else 1
            path.write_text(str(closed))
            if closed % CRASH_EVERY == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        super().close_window(window)


class Exact(Landing):
    """The real one."""

    store_type = CrashingStore


class TokenlessStore(CrashingStore):
    def fill_token(self, window: Window) -> str:
        return f"{window.token}:{uuid4()}"


class WithoutTokens(Landing):
    """A repeated window is a new one to the engine."""

    store_type = TokenlessStore


class VersionSource(CaptureSource):
    """Reads entities after the largest `_version` seen, settled or not."""

    def horizon(self) -> Horizon:
        return Horizon(2**62, 2**62, 0)

    def outlook(self, cursors: Mapping[str, int]) -> Outlook:
        ahead: dict[str, int | None] = dict(super().outlook(cursors).first_txids)
        for table in cursors.keys() - {"events"}:
            question = sql.SQL("select min(_version) from app.{} where _version > %(after)s")
            ahead[table] = self.value(
                question.format(sql.Identifier(table)), {"after": cursors[table]}
            )
        return Outlook(2**62, 2**62, ahead)

    def next_span(self, table: str, after: int, rows: int) -> Span | None:
        if table == "events":
            return super().next_span(table, after, rows)
        question = sql.SQL("select max(_version), count(*) from app.{} where _version > %(after)s")
        to, count = self.row(question.format(sql.Identifier(table)), {"after": after})
        return Span(after, to, count) if count else None


class VersionStore(CrashingStore):
    def fill(self, table: CapturedTable, window: Window) -> None:
        if table.kind == "stream":
            super().fill(table, window)
            return
        by_version = (
            statement(f"land_{table.name}")
            .replace("app.settled_", "app.")
            .replace("_txid > {0} and _txid <= {1}", "_version > {0} and _version <= {1}")
        )
        self.filler.command(
            by_version,
            parameters={
                "collection": self.collection,
                "from_txid": window.from_txid,
                "to_txid": window.to_txid,
            },
        )


class OverVersions(Landing):
    """A cursor over `_version` instead of settled transactions."""

    store_type = VersionStore
    source_type = VersionSource


VARIANTS: dict[str, type[Landing]] = {
    "exact": Exact,
    "without_tokens": WithoutTokens,
    "over_versions": OverVersions,
}


def run(variant: str, environment: Mapping[str, str], log_path: Path) -> None:
    """Be a landing worker until SIGTERM: what `python -m api.workers.landing` is."""
    os.environ.update(environment)
    with log_path.open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    sys.exit(main([], VARIANTS[variant]))
