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
AGAIN_SECONDS = 60.0  # until a walk that left videos behind is made again
# However much is remembered of walks: all videos are gone through this often.
WHOLE_WALK_SECONDS = 3_600.0
STORE_AWAY_SECONDS = 5.0
REPORT_SECONDS = 1.0
CIRCUIT_LOOK_SECONDS = 0.1
NICENESS = 10  # requests come first
# What landed shortly before the newest may be seen after it, where several land at once.
OVERLAP = timedelta(minutes=1)
EXAMPLES = 5  # videos named in the log (count)

# What passes by itself: a store that restarts, is busy, or has not been migrated yet.
TRANSIENT = (StoreUnavailableError, ClickHouseError, aiohttp.ClientError, OSError)

log: FilteringBoundLogger = structlog.get_logger("nova.embedding")


class Walked(Struct):
    """How far the walks of a version are."""

    since: datetime = EPOCH  # everything that landed before is done
    whole_at: float = float("-inf")  # when a walk through all began, by the clock of the loop
    again_at: float = 0.0  # no walk before, by the same clock


class Embedder:
    """Embeds what is missing, version by version; says what came of it."""

    def __init__(
        self,
        settings: Settings,
        stop: asyncio.Event,
        *,
        server: ModelServer | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.stop = stop
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
        """Embed what a version lacks of what has landed since its last whole walk."""
        walked = self._walked.setdefault(model.model_version, Walked())
        report = self.report_of(model)
        began_at = asyncio.get_running_loop().time()
        if began_at < walked.again_at:
            return
        is_whole = began_at - walked.whole_at >= WHOLE_WALK_SECONDS
        since = EPOCH if is_whole else walked.since
        moment = await self.store.moment()
        until = min(moment.newest_landing_at, moment.settled_until)
        if until <= since:
            return
        seen_since = max(since - OVERLAP, EPOCH)
        left = 0
        from_id = 0
        while not self.stop.is_set():
            span = await self.store.next_videos(from_id, seen_since, SPAN_VIDEOS)
            if span is None:
                break
            made_at = (await self.store.moment()).now
            videos = await self.store.videos_to_embed(model.model_version, span, seen_since, until)
            left += await self.embed(model, videos, made_at)
            from_id = span.last_id + 1
        if self.stop.is_set():
            return
        report.left = left
        if left:
            walked.again_at = asyncio.get_running_loop().time() + AGAIN_SECONDS
            log.warning("videos are left", model_version=model.model_version, videos=left)
            return
        walked.since = until
        if is_whole:
            walked.whole_at = began_at

    async def embed(self, model: ServedModel, videos: Sequence[Video], made_at: datetime) -> int:
        """Embed videos, batch by batch, and store what came; returns how many are left."""
        vectors: dict[int, Sequence[float]] = {}
        try:
            for start in range(0, len(videos), BATCH_VIDEOS):
                if not await self.circuit_lets_through():
                    break
                vectors |= await self.ask(model, videos[start : start + BATCH_VIDEOS])
        finally:
            # Also when told to stop: what was computed is kept.
            await self.store.store(model.model_version, vectors, made_at)
        self.report_of(model).stored += len(vectors)
        await self.report()
        return len(videos) - len(vectors)

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

    async def circuit_lets_through(self) -> bool:
        """Wait until the server may be asked; False when told to stop meanwhile."""
        was_open = self.server.breaker.is_refusing
        if was_open:
            log.warning("the model server is left alone for a while")
            await self.report(at_once=True)
        while self.server.breaker.is_refusing and not self.stop.is_set():
            await ended(self.stop, CIRCUIT_LOOK_SECONDS)
        return not self.stop.is_set()

    def report_of(self, model: ServedModel) -> EmbeddingReport:
        """Return what is known of a version since this worker began."""
        return self.reports.setdefault(model.model_version, EmbeddingReport())

    async def report(self, *, at_once: bool = False) -> None:
        """Tell Redis how it goes, at most once a second; nothing depends on it."""
        now = asyncio.get_running_loop().time()
        if not self.reports or (not at_once and now - self._reported_at < REPORT_SECONDS):
            return
        self._reported_at = now
        is_open = not self.server.breaker.is_closed
        told: dict[Any, Any] = {
            version: msgspec.json.encode(msgspec.structs.replace(report, is_open=is_open))
            for version, report in self.reports.items()
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
