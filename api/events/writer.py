"""Batches of events: one call of Postgres, and what follows from it for the viewer's feeds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from psycopg.types.json import Jsonb

from api.bodies import Unread
from api.errors import InvalidRequestError
from api.events.schemas import Event, EventBatch, Ingested, RawBatch
from api.snapshots.touches import Touch
from api.stores import Postgres, Refusal, RefusedError, StoreUnavailableError
from api.writes import Writes, problem_of

SQL = {path.stem: path.read_text() for path in (Path(__file__).parent / "sql").glob("*.sql")}

BATCH = "events"

# Like raw.user_watch_history: an impression is not yet seen.
SEEN = frozenset({"view", "not_interested"})
# What the viewer's own next ranking is to know at once.
ENGAGED = frozenset({"like", "unlike", "comment", "share", "not_interested", "follow_from_item"})

_raw = msgspec.json.Decoder(RawBatch)


class EventWriter:
    """Stores batches."""

    def __init__(self, postgres: Postgres, writes: Writes) -> None:
        self._postgres = postgres
        self._writes = writes

    async def ingest(self, viewer_id: int, body: Unread[EventBatch]) -> Ingested:
        """
        Store a batch, all or nothing; raises a problem that names every faulty field.

        Postgres gets the events as they came: what it checks, keys and stores is what was sent,
        and nothing is made anew on the way.
        """
        try:
            batch = body.read()
        except InvalidRequestError as exc:
            raise await self._explained(body.raw, exc) from exc
        row = await self._writes.write(
            SQL["ingest_events"],
            {"viewer_id": viewer_id, "events": as_jsonb(_raw.decode(body.raw))},
            lambda row: (self._writes.touches.note(touch_of(viewer_id, batch, row["txid"])),),
            batch=BATCH,
        )
        return Ingested(row["received"], row["deduped"], row["queued"] or msgspec.UNSET)

    async def _explained(self, raw: bytes, refused: InvalidRequestError) -> Exception:
        """
        Return what Postgres finds wrong with a batch that msgspec refused.

        It finds everything and has words of its own for it; msgspec stops at the first fault. Its
        words are used where Postgres is away, or is not as strict.
        """
        try:
            events = _raw.decode(raw)
            rows = await self._postgres.rows(SQL["event_problems"], {"events": as_jsonb(events)})
        except (msgspec.DecodeError, RecursionError, StoreUnavailableError):
            return refused
        except RefusedError as exc:
            return problem_of(exc, batch=BATCH)
        if not rows:
            return refused
        found = [Refusal(row["field"], row["message"], row["index"]) for row in rows]
        return problem_of(RefusedError("NV400", found), batch=BATCH)


def as_jsonb(batch: RawBatch) -> Jsonb:
    """Return the events as a parameter; they are JSON already."""
    return Jsonb(batch.events, dumps=bytes)


def touch_of(viewer_id: int, batch: EventBatch, txid: int | None) -> Touch:
    """Return what a batch changes for its viewer's feeds."""
    return Touch(
        viewer_id=viewer_id,
        txid=txid,
        is_reranked=any(event.action in ENGAGED for event in batch.events),
        seen_videos=list(seen_ids(batch.events, "video")),
        seen_posts=list(seen_ids(batch.events, "post")),
    )


def seen_ids(events: Iterable[Event], item_type: str) -> set[int]:
    """Return the items of a type that the viewer is done with."""
    return {
        int(event.item_id)
        for event in events
        if event.item_type == item_type and event.action in SEEN
    }
