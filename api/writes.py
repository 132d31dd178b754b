"""What every write has in common: Postgres commits, effects follow, then comes the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
import structlog
from psycopg.rows import DictRow

from api.counters.counts import ItemCounts
from api.counters.store import CounterStore
from api.errors import REFUSALS, FieldError, ProblemError
from api.metrics import WRITE_EFFECTS_FAILED
from api.snapshots.touches import Touch, Touches
from api.stores import Postgres, RefusedError

log = structlog.get_logger(__name__)

Effects = Callable[[DictRow], Iterable[Awaitable[None]]]

# What Postgres calls a field, where the API calls it otherwise. The viewer is the token's `sub`.
NAMES = {"request_key": "Idempotency-Key", "viewer_id": "sub"}


class Writes:
    """
    Runs the one statement of a write, and tells Redis what it changed.

    A write that began goes on to its end, also when the client hangs up in between: what was
    committed without its effects would be seen late. `close` waits for those under way, whose time
    is bounded by their stores'.
    """

    def __init__(self, postgres: Postgres, counters: CounterStore, touches: Touches) -> None:
        self.touches = touches
        self._postgres = postgres
        self._counters = counters
        self._under_way: set[asyncio.Task[DictRow]] = set()

    async def write(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        effects: Effects,
        *,
        names: Mapping[str, str] = NAMES,
        batch: str = "",
    ) -> DictRow:
        """
        Return the row of a statement that answers with one, after its effects.

        Raises a problem that calls fields as the client does, those of a batch with their place in
        it, and `StoreUnavailableError`.
        """
        task = asyncio.create_task(self._write(statement, parameters, effects))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except RefusedError as exc:
            raise problem_of(exc, names, batch) from exc

    async def rerank(self, viewer_id: int, txid: int | None) -> None:
        """Have the viewer's first pages ranked anew."""
        await self.touches.note(Touch(viewer_id=viewer_id, txid=txid, is_reranked=True))

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _write(
        self, statement: str, parameters: Mapping[str, Any], effects: Effects
    ) -> DictRow:
        [row] = await self._postgres.rows(statement, parameters)
        # The write is done, whatever becomes of what follows; the client is told so.
        outcomes = await asyncio.gather(self._keep(row), *effects(row), return_exceptions=True)
        for failure in outcomes:
            if isinstance(failure, Exception):
                WRITE_EFFECTS_FAILED.inc()
                log.error("write_effect_failed", exc_info=failure)
        return row

    async def _keep(self, row: DictRow) -> None:
        if row["changed"]:
            await self._counters.keep(msgspec.convert(row["changed"], list[ItemCounts]))


def problem_of(
    refused: RefusedError, names: Mapping[str, str] = NAMES, batch: str = ""
) -> ProblemError:
    """Return the problem of a refusal, with fields as the client calls them."""
    errors = []
    for error in refused.errors:
        field = names.get(error.field, error.field)
        if error.index is not None:
            # An event that is no object has no field to name.
            is_whole = batch.startswith(error.field)
            field = f"{batch}[{error.index}]" + ("" if is_whole else f".{field}")
        errors.append(FieldError(field, error.message))
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    # An action that comes too quickly for its own clock: see app.record_repeatable_action.
    headers = {"Retry-After": "60"} if refused.code == "NV429" else None
    return REFUSALS[refused.code](detail, errors=errors, headers=headers)
