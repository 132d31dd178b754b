"""Cursors: signed, short, and refused with the right word."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.cursor import Cursor, CursorCodec, Surface
from api.errors import BadCursorError
from api.settings import Settings
from tests.api.conftest import Api, Token, new_id, page

CODEC = CursorCodec("s" * 40, 7_200)
CURSOR = Cursor(
    surface=Surface.REELS,
    session=b"\x00\xff" * 4,
    generation=2**16 - 1,
    position=2**16 - 1,
    as_of_ms=1_900_000_000_000,
    variant="v" * 32,
    fingerprint=2**32 - 1,
    lowest_height=1_000_000,
    lowest_id=2**64 - 1,
    is_stale=True,
    has_crossed=True,
)
ALL = frozenset(Surface)


def test_the_longest_cursor_is_below_200_bytes() -> None:
    text = CODEC.encode(CURSOR, 2**63 - 1)
    assert len(text) < 200
    assert CODEC.decode(text, 2**63 - 1, ALL) == CURSOR


def test_every_cut_of_a_cursor_is_called_truncated() -> None:
    text = CODEC.encode(CURSOR, 1)
    for length in range(len(text)):
        with pytest.raises(BadCursorError) as error:
            CODEC.decode(text[:length], 1, ALL)
        assert error.value.reason == "truncated", length


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_changed_character_is_refused(data: st.DataObject) -> None:
    text = CODEC.encode(CURSOR, 1)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(
        st.sampled_from("ABCXYZabcxyz0189-_=+ ").filter(lambda letter: letter != text[at])
    )
    with pytest.raises(BadCursorError) as error:
        CODEC.decode(text[:at] + other + text[at + 1 :], 1, ALL)
    assert error.value.reason in ("forged", "truncated")


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_refused_not_crashed_on(text: str) -> None:
    with pytest.raises(BadCursorError):
        CODEC.decode(text, 1, ALL)


@pytest.fixture
async def cursor(api: Api, bearer: Token) -> tuple[int, str]:
    """A viewer and a good cursor of theirs."""
    viewer = new_id()
    return viewer, (await page(api, bearer(viewer)))["next_cursor"]


async def refused(api: Api, headers: dict[str, str], **parameters: Any) -> dict[str, Any]:
    """The problem a cursor leads to."""
    response = await api.get("/api/v1/reels", headers=headers, params=parameters)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"].endswith("/problems/bad-cursor")
    return body


async def test_forged(api: Api, bearer: Token, cursor: tuple[int, str], settings: Settings) -> None:
    viewer, _ = cursor
    forged = CursorCodec("another secret, another service, 40 chars", 7_200).encode(CURSOR, viewer)
    problem = await refused(api, bearer(viewer), cursor=forged)
    assert problem["reason"] == "forged"
    assert "forged" in problem["detail"]
    assert problem["errors"][0]["field"] == "cursor"


async def test_truncated(api: Api, bearer: Token, cursor: tuple[int, str]) -> None:
    viewer, text = cursor
    for cut in (text[:-1], text[: len(text) // 2], ""):
        problem = await refused(api, bearer(viewer), cursor=cut)
        assert problem["reason"] == "truncated"
        assert "truncated" in problem["detail"]


async def test_of_another_viewer(api: Api, bearer: Token, cursor: tuple[int, str]) -> None:
    problem = await refused(api, bearer(new_id()), cursor=cursor[1])
    assert problem["reason"] == "foreign-viewer"
    assert "another viewer" in problem["detail"]


async def test_of_another_surface(api: Api, bearer: Token, cursor: tuple[int, str]) -> None:
    viewer, text = cursor
    problem = await refused(api, bearer(viewer), cursor=text, algo="trending")
    assert problem["reason"] == "foreign-surface"
    assert "another surface" in problem["detail"]


async def test_expired(
    api: Api, bearer: Token, cursor: tuple[int, str], settings: Settings
) -> None:
    viewer, text = cursor
    lifetime = settings.snapshot_ttl_seconds
    now = CursorCodec(settings.cursor_secret, lifetime)
    good = now.decode(text, viewer, ALL)
    for age, is_good in ((3_600, True), (lifetime - 60, True), (lifetime + 60, False)):
        then = CursorCodec(settings.cursor_secret, lifetime, clock=lambda a=age: time.time() - a)
        aged = then.encode(good, viewer)
        if is_good:
            assert (await page(api, bearer(viewer), cursor=aged))["data"]
        else:
            problem = await refused(api, bearer(viewer), cursor=aged)
            assert problem["reason"] == "expired"
            assert "expired" in problem["detail"]


async def test_since_takes_cursors_by_the_same_rules(
    api: Api, bearer: Token, cursor: tuple[int, str]
) -> None:
    problem = await refused(api, bearer(new_id()), since=cursor[1])
    assert problem["reason"] == "foreign-viewer"
    assert problem["errors"][0]["field"] == "since"


async def test_cursor_and_since_exclude_each_other(
    api: Api, bearer: Token, cursor: tuple[int, str]
) -> None:
    viewer, text = cursor
    response = await api.get(
        "/api/v1/reels", headers=bearer(viewer), params={"cursor": text, "since": text}
    )
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "since"
