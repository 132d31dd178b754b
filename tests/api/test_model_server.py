"""What TensorFlow Serving may answer, and how long it is asked: by a stand-in on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from api.modelserver.answers import ModelServerError
from api.modelserver.client import ATTEMPTS, FAILURES_TO_OPEN, ModelServer
from api.settings import Settings
from api.stores import StoreUnavailableError
from tests.api import modelserver
from tests.api.modelserver import FakeModelServer, Fault, embedding_of
from tests.conftest import settings_on

DIMENSIONS = 64


@pytest.fixture
async def server() -> AsyncIterator[FakeModelServer]:
    async with FakeModelServer(DIMENSIONS) as server:
        yield server


@pytest.fixture
def settings(server: FakeModelServer) -> Settings:
    """With a model server that has time, as a busy machine needs."""
    return settings_on(tensorflow_serving_url=server.url, tensorflow_serving_timeout_ms=10_000)


FAULTS: dict[str, tuple[Fault, str, bool]] = {
    "garbage": (modelserver.garbage, "not_json", False),
    "half a document": (modelserver.half_a_document, "not_json", False),
    "half an answer": (modelserver.half_an_answer, "truncated", True),
    "no HTTP": (modelserver.no_http, "unreachable", True),
    "HTTP 500": (modelserver.internal_error, "status", True),
    "HTTP 404": (modelserver.unknown_model, "status", False),
    "another shape": (modelserver.another_shape, "shape", False),
    "words": (modelserver.words, "shape", False),
    "too few": (modelserver.too_few, "count", False),
    "wrong dimensions": (modelserver.wrong_dimensions, "dimensions", False),
    "NaN": (modelserver.not_a_number, "not_finite", False),
    "beyond float32": (modelserver.beyond_float32, "not_finite", False),
    "all zero": (modelserver.all_zero, "all_zero", False),
    "endless": (modelserver.endless, "too_large", False),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_what_cannot_be_used_is_refused_and_said_why(
    settings: Settings, server: FakeModelServer, name: str
) -> None:
    server.fault, reason, is_asked_again = FAULTS[name]
    client = ModelServer(settings)
    with pytest.raises(ModelServerError) as refusal:
        await client.predict("m", [{"title": "a"}, {"title": "b"}], DIMENSIONS)
    await client.close()
    assert refusal.value.reason == reason
    assert len(server.batches) == (ATTEMPTS if is_asked_again else 1)


@pytest.mark.parametrize(("is_away", "reason"), [(True, "unreachable"), (False, "timeout")])
async def test_a_server_that_is_away_or_slow_is_not_waited_for(
    settings: Settings, server: FakeModelServer, is_away: bool, reason: str
) -> None:
    if is_away:
        await server.stop()
    server.delay_seconds = 5.0
    client = ModelServer(msgspec.structs.replace(settings, tensorflow_serving_timeout_ms=200))
    with pytest.raises(ModelServerError) as refusal:
        await client.predict("m", [{"title": "a"}], DIMENSIONS)
    await client.close()
    assert refusal.value.reason == reason


async def test_a_server_that_stumbles_once_is_asked_again(
    settings: Settings, server: FakeModelServer
) -> None:
    def stumble(server: FakeModelServer, batch: list[modelserver.Instance]) -> bytes:
        server.fault = None
        return modelserver.internal_error(server, batch)

    server.fault = stumble
    client = ModelServer(settings)
    predicted = await client.predict("m", [{"title": "a"}], DIMENSIONS)
    await client.close()
    assert predicted.vectors == {0: pytest.approx(embedding_of({"title": "a"}, DIMENSIONS))}
    assert len(server.batches) == 2


async def test_the_circuit_opens_and_closes(settings: Settings, server: FakeModelServer) -> None:
    client = ModelServer(settings, open_seconds=0.3)
    question = ("m", [{"title": "a"}], DIMENSIONS)
    server.fault = modelserver.garbage
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(ModelServerError):
            await client.predict(*question)
    with pytest.raises(StoreUnavailableError):
        await client.predict(*question)
    assert len(server.batches) == FAILURES_TO_OPEN, "asked while the circuit was open"
    server.fault = None
    assert (await client.predict("another", *question[1:])).vectors
    await asyncio.sleep(0.3)
    assert (await client.predict(*question)).vectors
    assert client.circuit("m").is_closed
    await client.close()
