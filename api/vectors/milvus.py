"""Vectors in Milvus: a collection per version, of ids and vectors and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, TypeVar

from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from api.stores import Breaker, StoreUnavailableError
from api.vectors import VectorIndexError

T = TypeVar("T")

PREFIX = "nova_videos_"
ID, VECTOR = "video_id", "vector"
# Calls of a process that are under way at once (count). The client blocks, so each takes a thread.
CALLS_AT_ONCE = 4
FAILURES_TO_OPEN = 5  # consecutive (count)
OPEN_SECONDS = 2.0
# The graph ClickHouse has, so that both find alike.
NEIGHBOURS, BUILD_WIDTH = 32, 128
SEARCH_WIDTH = 256  # at least as wide as the most that is asked for


class MilvusIndex:
    """
    A `VectorIndex` on a Milvus server, or on a file with Milvus Lite, which one process may open.

    The asynchronous client does without the calls that Milvus Lite lacks, so the other one is used,
    in threads.
    """

    def __init__(self, url: str, token: str, timeout_seconds: float) -> None:
        self._url = url
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="milvus")
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)
        self._connecting = asyncio.Lock()
        self._client: MilvusClient | None = None
        self.breaker = Breaker("milvus", FAILURES_TO_OPEN, OPEN_SECONDS)

    async def upsert(self, version: str, vectors: Mapping[int, Sequence[float]]) -> None:
        """Put vectors by video; one that is there is replaced. Raises `VectorIndexError`."""
        if not vectors:
            return
        rows = [{ID: video_id, VECTOR: list(vector)} for video_id, vector in vectors.items()]
        dimensions = len(next(iter(vectors.values())))

        def work(client: MilvusClient) -> None:
            name = collection(version)
            if not client.has_collection(name, timeout=self._timeout_seconds):
                self._create(client, name, dimensions)
            client.upsert(name, rows, timeout=self._timeout_seconds)

        await self._run(work)

    async def nearest(self, version: str, vector: Sequence[float], limit: int) -> list[int]:
        """Return the videos of the most similar vectors by cosine, best first; raises as above."""

        def work(client: MilvusClient) -> list[int]:
            found = client.search(
                collection(version),
                data=[list(vector)],
                limit=limit,
                output_fields=[ID],
                search_params={"metric_type": "COSINE", "params": {"ef": max(SEARCH_WIDTH, limit)}},
                timeout=self._timeout_seconds,
            )
            return [int(hit[ID]) for hit in found[0]]

        return await self._run(work)

    async def count(self, version: str) -> int:
        """Return how many videos a version has, 0 when it is not there; raises as above."""

        def work(client: MilvusClient) -> int:
            name = collection(version)
            if not client.has_collection(name, timeout=self._timeout_seconds):
                return 0
            counted = client.query(
                name,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=self._timeout_seconds,
            )
            return int(counted[0]["count(*)"])

        return await self._run(work)

    async def drop(self, version: str) -> None:
        """Forget a version, also one that is not there; raises as above."""
        await self._run(
            lambda client: client.drop_collection(
                collection(version), timeout=self._timeout_seconds
            )
        )

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            with contextlib.suppress(MilvusException, OSError):
                await asyncio.to_thread(self._client.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _create(self, client: MilvusClient, name: str, dimensions: int) -> None:
        """Make the collection of a version; it is loaded when this returns."""
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ID, DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimensions)
        index = MilvusClient.prepare_index_params()
        index.add_index(
            field_name=VECTOR,
            index_type="HNSW",
            metric_type="COSINE",
            params={"M": NEIGHBOURS, "efConstruction": BUILD_WIDTH},
        )
        client.create_collection(
            name, schema=schema, index_params=index, timeout=self._timeout_seconds
        )

    async def _run(self, work: Callable[[MilvusClient], T]) -> T:
        async def called() -> T:
            # A place, not a thread, is waited for: whoever gives up must not leave work behind
            # that nobody takes.
            async with self._places:
                client = await self._connected()
                return await self._in_thread(work, client)

        try:
            # The limit inside is the one that counts; this one is for a thread that hangs.
            return await self.breaker.run(called, 2 * self._timeout_seconds)
        except StoreUnavailableError as exc:
            cause = exc.__cause__ or exc
            raise VectorIndexError(f"{type(cause).__name__}: {cause}"[:300]) from exc

    async def _connected(self) -> MilvusClient:
        async with self._connecting:
            if self._client is None:
                self._client = await self._in_thread(
                    lambda: MilvusClient(
                        uri=self._url, token=self._token, timeout=self._timeout_seconds
                    )
                )
            return self._client

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def collection(version: str) -> str:
    """
    Return the name of a version's collection.

    Names of collections have letters, digits and underscores; the hash keeps apart what would look
    the same without the rest.
    """
    readable = "".join(letter if letter.isalnum() else "_" for letter in version.lower())
    ascii_only = readable.encode("ascii", "replace").decode().replace("?", "_")
    return f"{PREFIX}{ascii_only[:100]}_{sha256(version.encode()).hexdigest()[:8]}"
