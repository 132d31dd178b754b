"""Asks TensorFlow Serving for predictions: bounded in time and size, again, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog
from structlog.typing import FilteringBoundLogger
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from api.modelserver.answers import ModelServerError, Predicted, read_answer, shown
from api.settings import Settings
from api.stores import Breaker, StoreUnavailableError

ATTEMPTS = 3  # of one batch (count)
LONGEST_PAUSE_SECONDS = 0.5  # between two of them
FAILURES_TO_OPEN = 3  # batches in a row (count)
OPEN_SECONDS = 5.0
# 100 vectors of 512 numbers of 25 digits are 1.3 MB.
LARGEST_ANSWER_BYTES = 8_000_000
# A model that is being loaded or a server that is full answers so, and is worth another attempt.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

log: FilteringBoundLogger = structlog.get_logger("nova.modelserver")


class ModelServer:
    """One TensorFlow Serving; no batch takes longer than its attempts and the pauses between."""

    def __init__(self, settings: Settings, open_seconds: float = OPEN_SECONDS) -> None:
        self._url = settings.tensorflow_serving_url.rstrip("/")
        self._timeout_seconds = settings.tensorflow_serving_timeout_ms / 1000
        self._session: aiohttp.ClientSession | None = None
        self._open_seconds = open_seconds
        self._circuits: dict[str, Breaker] = {}

    def circuit(self, model: str) -> Breaker:
        """Return the circuit of a model: one that is not there says nothing about the others."""
        if model not in self._circuits:
            self._circuits[model] = Breaker(
                "tensorflow_serving", FAILURES_TO_OPEN, self._open_seconds
            )
        return self._circuits[model]

    async def predict(
        self, model: str, instances: Sequence[dict[str, Any]], dimensions: int
    ) -> Predicted:
        """
        Return a vector per instance; raises `ModelServerError`, which says why there are none.

        An answer that cannot be used fails the circuit as none does: asking on would be as much in
        vain. Raises `StoreUnavailableError` while the circuit is open.
        """

        async def work() -> Predicted:
            predicted = await self._asked_again(model, instances, dimensions)
            if not predicted.vectors:
                reason = next(iter(predicted.refused.values()))
                raise ModelServerError(reason, f"no vector of {len(instances)} can be used")
            return predicted

        longest = ATTEMPTS * self._timeout_seconds + (ATTEMPTS - 1) * LONGEST_PAUSE_SECONDS
        try:
            return await self.circuit(model).run(work, longest + 1)
        except StoreUnavailableError as exc:
            if isinstance(exc.__cause__, ModelServerError):
                raise exc.__cause__ from exc
            raise

    async def _asked_again(
        self, model: str, instances: Sequence[dict[str, Any]], dimensions: int
    ) -> Predicted:
        def tell(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            log.info(
                "the model server is asked again",
                model=model,
                attempt=state.attempt_number,
                reason=str(error),
            )

        asking = AsyncRetrying(
            retry=retry_if_exception(is_passing),
            wait=wait_exponential_jitter(
                multiplier=0.05, max=LONGEST_PAUSE_SECONDS, jitter=self._timeout_seconds / 4
            ),
            stop=stop_after_attempt(ATTEMPTS),
            before_sleep=tell,
            reraise=True,
        )
        return await asking(self._ask, model, instances, dimensions)

    async def _ask(
        self, model: str, instances: Sequence[dict[str, Any]], dimensions: int
    ) -> Predicted:
        url = f"{self._url}/v1/models/{quote(model, safe='')}:predict"
        try:
            async with self._connected().post(
                url, json={"instances": instances}, allow_redirects=False
            ) as response:
                body = await read_bounded(response)
                if response.status != 200:
                    raise StatusError(response.status, f"HTTP {response.status}: {shown(body)}")
        except TimeoutError as exc:
            raise ModelServerError(
                "timeout", f"no answer within {self._timeout_seconds:g} s"
            ) from exc
        except aiohttp.ClientPayloadError as exc:
            raise ModelServerError("truncated", "the answer ended before its end") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise ModelServerError("unreachable", f"{type(exc).__name__}: {exc}") from exc
        # Numbers of a batch take milliseconds to read, in which the line could not be stopped.
        return await asyncio.to_thread(read_answer, body, len(instances), dimensions)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Everything of a request counts, also an answer that comes a byte at a time.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
                connector=aiohttp.TCPConnector(limit=2),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class StatusError(ModelServerError):
    """The server answered, with another status than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("status", message)
        self.status = status


def is_passing(error: BaseException) -> bool:
    """Say whether the same question may be answered a moment later."""
    if isinstance(error, StatusError):
        return error.status in PASSING_STATUSES
    return isinstance(error, ModelServerError) and error.reason in (
        "unreachable",
        "timeout",
        "truncated",
    )


async def read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return a whole body; raises `ModelServerError` for one that does not end."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            raise ModelServerError("too_large", f"more than {LARGEST_ANSWER_BYTES} bytes")
    return bytes(body)
