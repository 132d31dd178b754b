"""Batches of events: one call of Postgres, and what follows from it for the viewer's feeds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from psycopg.types.json import Jsonb

from api.bodies import Unread
from api.errors import InvalidRequestError
from api.events.faults import Faults, faults_of, in_order, members_of, without
from api.events.schemas import Event, EventBatch, Ingested, RawBatch
from api.snapshots.touches import Touch
from api.stores import Postgres, Refusal, RefusedError, StoreUnavailableError
from api.writes import Writes, problem_of

SQL = {path.stem: path.read_text() for path in (Path(__file__).parent / "sql").glob("*.sql")}

BATCH = "events"
MOST_FAULTS = 100  # named in one answer (count)

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
        Return everything that is wrong with a batch that msgspec refused at its first fault.

        Postgres has words of its own, and rules that need its data; msgspec is stricter about
        types. Its words are used where Postgres is away, or is not as strict.
        """
        try:
            faults = await self._faults(_raw.decode(raw))
        except (msgspec.DecodeError, RecursionError):
            return refused
        except RefusedError as exc:
            return problem_of(exc, batch=BATCH)
        if not faults:
            return refused
        found = [
            Refusal(field, faults[index, field], index)
            for index, field in in_order(faults)[:MOST_FAULTS]
        ]
        return problem_of(RefusedError("NV400", found), batch=BATCH)

    async def _faults(self, batch: RawBatch) -> Faults:
        members = members_of(batch)
        ours = faults_of(members)
        try:
            return ours | await self._faults_in_postgres(batch)
        except StoreUnavailableError:
            return ours
        except RefusedError:
            if not ours:
                raise
        # What it cannot store keeps it from reading the rest.
        try:
            return await self._faults_in_postgres(without(members, ours)) | ours
        except (RefusedError, StoreUnavailableError):
            return ours

    async def _faults_in_postgres(self, batch: RawBatch) -> Faults:
        rows = await self._postgres.rows(SQL["event_problems"], {"events": as_jsonb(batch)})
        return {(row["index"], row["field"]): row["message"] for row in rows}


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
