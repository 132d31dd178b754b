"""First pages that were made before anybody asked for them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from api.actionable import ActionableError
from api.cli.warm import viewers_in
from api.reels.warming import warm, warm_recent
from api.settings import Settings
from tests.api.conftest import Catalogue, Token, ids_of, new_id, page, serving


async def test_warmed_viewers_find_their_page(
    settings: Settings, catalogue: Catalogue, bearer: Token
) -> None:
    """The same page as without; who has one is left alone, whoever else warms meanwhile."""
    viewers = [new_id() for _ in range(8)]
    async with serving(settings) as api:
        wanted = await page(api, bearer(viewers[0]))
        first, second = await asyncio.gather(warm(settings, viewers), warm(settings, viewers))
        assert first.ranked + second.ranked == len(viewers) - 1
        assert first.failed + second.failed == 0
        for viewer in (viewers[0], viewers[1], viewers[-1]):
            found = await page(api, bearer(viewer))
            assert found["meta"]["cache_hit"]
            assert found["data"] == wanted["data"]
        again = await warm(settings, viewers)
        assert (again.ranked, again.left_alone, again.failed) == (0, len(viewers), 0)


async def test_a_warmed_page_is_ranked_anew_after_a_write(
    settings: Settings, catalogue: Catalogue, bearer: Token
) -> None:
    viewer = new_id()
    with psycopg.connect(settings.postgres_url) as postgres:
        postgres.execute("insert into app.users (id) values (%s)", [viewer])
    async with serving(settings) as api:
        await warm(settings, [viewer])
        first = await page(api, bearer(viewer))
        assert first["meta"]["cache_hit"]
        gone = ids_of(first)[0]
        path = f"/api/v1/reels/{gone}/not-interested"
        assert (await api.post(path, headers=bearer(viewer))).is_success
        await warm(settings, [viewer])
        assert gone not in ids_of(await page(api, bearer(viewer)))


async def test_without_a_store_it_says_so(settings: Settings, catalogue: Catalogue) -> None:
    nowhere = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1/0")
    assert (await warm(nowhere, [new_id()])).failed == 1


async def test_the_latest_viewers_are_found(settings: Settings, catalogue: Catalogue) -> None:
    [video] = catalogue.videos(1)
    later = datetime.now(UTC) + timedelta(days=1)
    catalogue.client.insert(
        "raw.user_watch_history",
        [[new_id(), "video", video, later + timedelta(seconds=n), 1] for n in range(3)],
        column_names=["user_id", "item_type", "item_id", "watched_at", "watches"],
    )
    assert (await warm_recent(settings, 3)).ranked == 3


def test_a_line_that_is_no_id_is_named(tmp_path: Path) -> None:
    file = tmp_path / "viewers"
    file.write_text("1\n9223372036854775807\n")
    assert list(viewers_in(file)) == [1, 9223372036854775807]
    for bad in ("x", "-1", "", "9" * 19, "9" * 9_999):
        file.write_text(f"1\n{bad}\n")
        with pytest.raises(ActionableError, match="line 2"):
            list(viewers_in(file))
