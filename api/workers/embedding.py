"""
Embedding: videos that a model version has no embedding of are told to the model server.

For each version of `app.deep_recall_models` that TensorFlow Serving computes, by walks through the
videos: the first through all, the next through what has landed since. A video is done when its
embedding is in ClickHouse; nothing else is remembered, so an end at any moment costs what was under
way. What a server fails at is left, and tried again by a later walk: one video that breaks a model,
or one version, keeps no other waiting.

Nobody waits for this: no request asks a model server, and what has no embedding is served without.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from api.modelserver.answers import ModelServerError
from api.modelserver.client import ModelServer
from api.modelserver.reports import REPORT_KEPT_SECONDS, REPORT_KEY, EmbeddingReport
from api.modelserver.store import EPOCH, EmbeddingStore, Video
from api.modelserver.versions import ServedModel, served_models
from api.settings import Settings
from api.stores import Stores, StoreUnavailableError
from api.workers.stopping import ended, until_told

BATCH_VIDEOS = 100  # of one question to the server (count)
SPAN_VIDEOS = 2_000  # that are looked at, and stored, together (count)
LOOK_SECONDS = 2.0  # from one look for what has landed to the next
AGAIN_SECONDS = 60.0  # until videos that were left behind are looked for
# However much is remembered of walks: all videos are gone through this often.
WHOLE_WALK_SECONDS = 3_600.0
STORE_AWAY_SECONDS = 5.0
REPORT_SECONDS = 1.0
NICENESS = 10  # requests come first
# What landed shortly before the newest may be seen after it, where several land at once.
OVERLAP = timedelta(minutes=1)
EXAMPLES = 5  # videos named in the log (count)

# What passes by itself: a store that restarts, is busy, or has not been migrated yet.
TRANSIENT = (StoreUnavailableError, ClickHouseError, aiohttp.ClientError, OSError)

log: FilteringBoundLogger = structlog.get_logger("nova.embedding")


class Asked(Struct, frozen=True):
    """What came of some videos: how many are left, and up to which they were asked for."""

    left: int
    last_id: int | None  # None: all of them


class Walk(Struct):
    """A walk of a version that is under way: through what, and how far it is."""

    since: datetime
    until: datetime
    is_whole: bool
    from_id: int = 0
    left: int = 0  # videos that have been passed over (count)


class Walked(Struct):
    """How far the walks of a version are; times are by the clock of the loop."""

    # From a walk that left videos behind to the next through all, longer each time it did.
    pause_seconds: float
    since: datetime = EPOCH  # everything that landed before was gone through
    whole_due_at: float = float("-inf")
    left: int = 0  # of the walks that are through (count)
    walk: Walk | None = None


class Embedder:
    """Embeds what is missing, version by version; says what came of it."""

    def __init__(
        self,
        settings: Settings,
        stop: asyncio.Event,
        *,
        server: ModelServer | None = None,
        store: EmbeddingStore | None = None,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self.stop = stop
        self.again_seconds = again_seconds
        self.stores = Stores(settings)
        self.server = server or ModelServer(settings)
        self.store = store or EmbeddingStore(settings)
        self.reports: dict[str, EmbeddingReport] = {}
        self._walked: dict[str, Walked] = {}
        self._reported_at = float("-inf")

    async def close(self) -> None:
        """Hang up everywhere."""
        await asyncio.gather(
            self.server.close(), self.store.close(), self.stores.close(), return_exceptions=True
        )

    async def run_once(self) -> None:
        """Walk once for every version; quick when nothing has landed. Raises `TRANSIENT`."""
        for model in await served_models(self.stores.postgres):
            if self.stop.is_set():
                break
            await self.walk(model)

    async def walk(self, model: ServedModel) -> None:
        """
        Embed what a version lacks, until all is gone through or the server is to be left alone.

        Then the next call goes on behind the batch that failed; other versions have their turn.
        """
        walked = self._walked.setdefault(model.model_version, Walked(self.again_seconds))
        walk = walked.walk = walked.walk or await self._new_walk(walked)
        if walk is None:
            return
        circuit = self.server.circuit(model.model_version)
        while not self.stop.is_set() and not circuit.is_refusing:
            span = await self.store.next_videos(walk.from_id, walk.since, SPAN_VIDEOS)
            if span is None:
                self._end_walk(model, walked, walk)
                return
            made_at = (await self.store.moment()).now
            videos = await self.store.videos_to_embed(
                model.model_version, span, walk.since, walk.until
            )
            asked = await self.embed(model, videos, made_at)
            walk.left += asked.left
            walk.from_id = (span.last_id if asked.last_id is None else asked.last_id) + 1
            self.report_of(model).left = walked.left + walk.left
        if circuit.is_refusing:
            log.warning(
                "the model server is left alone for a while", model_version=model.model_version
            )

    async def _new_walk(self, walked: Walked) -> Walk | None:
        """Return the next walk of a version; None while there is nothing to look for."""
        is_whole = asyncio.get_running_loop().time() >= walked.whole_due_at
        moment = await self.store.moment()
        since = EPOCH if is_whole else walked.since
        until = min(moment.newest_landing_at, moment.settled_until)
        if until <= since:
            return None
        if is_whole:
            walked.left = 0
        return Walk(max(since - OVERLAP, EPOCH), until, is_whole)

    def _end_walk(self, model: ServedModel, walked: Walked, walk: Walk) -> None:
        """Note that a walk is through; what it left is looked for by the next through all."""
        now = asyncio.get_running_loop().time()
        walked.walk = None
        walked.since = walk.until
        walked.left += walk.left
        if walk.left:
            due_at = now + walked.pause_seconds
            walked.whole_due_at = due_at if walk.is_whole else min(walked.whole_due_at, due_at)
            walked.pause_seconds = min(2 * walked.pause_seconds, WHOLE_WALK_SECONDS)
            log.warning("videos are left", model_version=model.model_version, videos=walk.left)
        elif walk.is_whole:
            walked.whole_due_at = now + WHOLE_WALK_SECONDS
            walked.pause_seconds = self.again_seconds
        self.report_of(model).left = walked.left

    async def embed(self, model: ServedModel, videos: Sequence[Video], made_at: datetime) -> Asked:
        """
        Embed videos, batch by batch, and store what came.

        Not all of them when told to stop, or when the server is to be left alone.
        """
        circuit = self.server.circuit(model.model_version)
        vectors: dict[int, Sequence[float]] = {}
        asked = 0
        try:
            while asked < len(videos) and not self.stop.is_set() and not circuit.is_refusing:
                batch = videos[asked : asked + BATCH_VIDEOS]
                vectors |= await self.ask(model, batch)
                asked += len(batch)
        finally:
            # Also when told to stop: what was computed is kept.
            await self.store.store(model.model_version, vectors, made_at)
        self.report_of(model).stored += len(vectors)
        await self.report()
        is_through = asked == len(videos)
        return Asked(asked - len(vectors), None if is_through else videos[asked].video_id - 1)

    async def ask(self, model: ServedModel, batch: Sequence[Video]) -> dict[int, Sequence[float]]:
        """Return the embeddings of a batch by video; none when the server fails at it."""
        report = self.report_of(model)
        try:
            predicted = await self.server.predict(
                model.model_version, [video.instance for video in batch], model.dimensions
            )
        except ModelServerError as exc:
            report.count_batch(exc.reason)
            log.warning(
                "a batch is not embedded",
                model_version=model.model_version,
                reason=exc.reason,
                detail=str(exc),
                videos=len(batch),
                first_video_id=str(batch[0].video_id),
            )
            return {}
        except StoreUnavailableError:
            report.count_batch("unavailable")
            return {}
        report.count_batch("answered")
        if predicted.refused:
            report.count_refused(predicted.refused.values())
            log.warning(
                "vectors are refused",
                model_version=model.model_version,
                reasons=dict(Counter(predicted.refused.values())),
                video_ids=[str(batch[place].video_id) for place in predicted.refused][:EXAMPLES],
            )
        return {batch[place].video_id: vector for place, vector in predicted.vectors.items()}

    def report_of(self, model: ServedModel) -> EmbeddingReport:
        """Return what is known of a version since this worker began."""
        return self.reports.setdefault(model.model_version, EmbeddingReport())

    async def report(self, *, at_once: bool = False) -> None:
        """Tell Redis how it goes, at most once a second; nothing depends on it."""
        now = asyncio.get_running_loop().time()
        if not self.reports or (not at_once and now - self._reported_at < REPORT_SECONDS):
            return
        self._reported_at = now
        for version, report in self.reports.items():
            report.is_open = not self.server.circuit(version).is_closed
        told: dict[Any, Any] = {
            version: msgspec.json.encode(report) for version, report in self.reports.items()
        }

        async def tell() -> Any:
            async with self.stores.redis.client.pipeline(transaction=True) as pipeline:
                pipeline.hset(REPORT_KEY, mapping=told)
                pipeline.expire(REPORT_KEY, REPORT_KEPT_SECONDS)
                return await pipeline.execute()

        with contextlib.suppress(StoreUnavailableError):
            await self.stores.redis.run(tell)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Embed until `stop` is set; a store that is away is asked again."""
    embedder = Embedder(settings, stop)
    try:
        await embedder.stores.postgres.open()
        while not stop.is_set():
            try:
                await embedder.run_once()
            except TRANSIENT as exc:
                log.warning(
                    "a store is away, trying again",
                    error=type(exc).__name__,
                    reason=str(exc).partition("\n")[0][:300],
                )
                await ended(stop, STORE_AWAY_SECONDS)
            else:
                await ended(stop, LOOK_SECONDS)
            await embedder.report(at_once=True)
    finally:
        await embedder.close()


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of these functions load the service.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)
    if not settings.tensorflow_serving_url:
        log.error("NOVA_TENSORFLOW_SERVING_URL is not set: this worker has nothing to do")
        return 1
    os.nice(NICENESS)
    asyncio.run(until_told(work, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
