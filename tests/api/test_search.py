"""Search through HTTP: what is found, in which order, page by page, and with stores away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from api.settings import Settings
from api.stack.ports import free_port
from tests.api.conftest import Api, Catalogue, Token, new_id, problem_of, serving

SEARCH = "/api/v1/reels/search"
COLUMNS = [
    "video_id",
    "creator_id",
    "category",
    "title",
    "description",
    "hashtags",
    "duration_ms",
    "status",
    "created_at",
    "published_at",
]


class Library:
    """Videos with words, in Postgres and landed."""

    def __init__(self, postgres: psycopg.Connection[Any], catalogue: Catalogue) -> None:
        self.postgres = postgres
        self.catalogue = catalogue
        self._remembered: set[int] = set()

    def publish(
        self,
        title: str,
        *,
        description: str = "",
        hashtags: tuple[str, ...] = (),
        creator: int | None = None,
        category: str = "",
        age: timedelta = timedelta(hours=1),
        video: int | None = None,
        is_deleted: bool = False,
        status: str = "published",
    ) -> int:
        """Publish a video, or another version of one."""
        video, creator = video or new_id(), creator or new_id()
        at = datetime.now(UTC) - age
        self.postgres.execute(
            "insert into app.users (id) values (%s) on conflict do nothing", (creator,)
        )
        self.postgres.execute(
            "insert into app.videos (id, creator_id, category, title, description, hashtags,"
            " status, created_at, published_at, deleted)"
            " values (%s, %s, nullif(%s, ''), %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (id) do update set title = excluded.title,"
            " deleted = excluded.deleted, status = excluded.status",
            (
                video,
                creator,
                category,
                title,
                description,
                list(hashtags),
                status,
                at,
                at,
                is_deleted,
            ),
        )
        row = [video, creator, category, title, description, list(hashtags), 15_500, status, at, at]
        self.catalogue.insert("videos", COLUMNS, [row], is_deleted=is_deleted)
        if video not in self._remembered:
            self._remembered.add(video)
            self.catalogue.remember([[video, creator, title, "", at]])
        return video

    def refresh(self) -> None:
        """Have what a search looks up be loaded anew."""
        client = self.catalogue.client
        for view in ("video_signals", "sig_term__documents", "sig_field__tokens"):
            for verb in ("refresh", "wait"):
                client.command(f"system {verb} view nova.{view}_mv")
        for verb in ("refresh", "wait"):
            client.command(f"system {verb} view nova.cand_term__spellings_mv")
        for name in ("dict_video_signals", "dict_search_terms", "dict_search_fields"):
            client.command(f"system reload dictionary nova.{name}")


@pytest.fixture
def library(settings: Settings, catalogue: Catalogue) -> Iterator[Library]:
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        yield Library(postgres, catalogue)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A busy machine must not answer 503."""
    return msgspec.structs.replace(
        settings, postgres_timeout_ms=30_000, clickhouse_timeout_ms=30_000, cards_timeout_ms=10_000
    )


@pytest.fixture
async def api(settings: Settings, bearer: Token) -> AsyncIterator[Api]:
    async with serving(settings) as api:
        yield api


@pytest.fixture
async def dark_api(settings: Settings) -> AsyncIterator[Api]:
    """The service without ClickHouse."""
    nowhere = f"http://127.0.0.1:{free_port()}/"
    async with serving(msgspec.structs.replace(settings, clickhouse_url=nowhere)) as api:
        yield api


async def ask(api: Api, headers: dict[str, str], q: str, **parameters: Any) -> dict[str, Any]:
    """Search, which must answer."""
    response = await api.get(SEARCH, headers=headers, params={"q": q, **parameters})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert body["has_more"] == (body["next_cursor"] is not None)
    return body


def ids(body: dict[str, Any]) -> list[int]:
    """The videos of a page."""
    return [int(one["id"]) for one in body["data"]]


async def test_a_found_video_shows_its_card_and_is_found_by_every_field(
    api: Api, bearer: Token, library: Library
) -> None:
    creator = new_id()
    by_title = library.publish("Zanzibar by night", creator=creator)
    by_tag = library.publish("no", hashtags=("zanzibar",))
    by_text = library.publish("nothing", description="the coast of Zanzibar, seen from a boat")
    library.refresh()

    headers = bearer(new_id())
    body = await ask(api, headers, "zanzibar")
    assert set(ids(body)) == {by_title, by_tag, by_text}
    assert ids(body)[2] == by_text  # one word of many, in the field that says least
    scores = [one["relevance_score"] for one in body["data"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[2] > 0
    shown = body["data"][ids(body).index(by_title)]
    assert shown["title"] == "Zanzibar by night"
    assert shown["creator_id"] == str(creator)
    assert shown["streaming_url"].endswith(f"/reels/stream/{by_title}")
    assert (shown["view_count"], shown["like_count"], shown["comment_count"]) == (0, 0, 0)
    assert body["meta"]["degraded"] == "none"
    assert body["meta"]["corrected_query"] is None
    assert ids(await ask(api, headers, "night zanzibar"))[0] == by_title


SCRIPTS = {
    "creme brulee": "Crème Brûlée xqa",
    "KADIN": "kadın xqb",
    "fullwidth": "ＦＵＬＬＷＩＤＴＨ xqc",
    "饺子": "我在北京学做饺子",
    "小技": "カラーズの小技です",
    "НАРЕЗКА": "нарезка из Ставрополя",
    "كبسة": "أفضل وصفة كبسة",
    "හරියන්න": "සතියකට හරියන්න",
    "방탄소년단": "방탄소년단 직캠",
    "ชาวโลก": "สวัสดีชาวโลก",
    "🦖": "dont't worry 🦖 xqd",
    "👋 xqe": "waving 👋🏽 xqe",
    "🇱🇮": "home 🇱🇮 xqf",
    "dont xqgworry": "don’t xqgworry",
}


async def test_any_script_is_found_whatever_its_case_accents_and_width(
    api: Api, dark_api: Api, bearer: Token, library: Library
) -> None:
    videos = {query: library.publish(title) for query, title in SCRIPTS.items()}
    library.refresh()
    for query, video in videos.items():
        assert video in ids(await ask(api, bearer(new_id()), query)), query
        dark = await ask(dark_api, bearer(new_id()), query)
        assert video in ids(dark), query
        assert (dark["meta"]["degraded"], dark["meta"]["fallback"]) == ("postgres", True)


async def test_misspelled_words_are_corrected_and_what_was_found_stays(
    api: Api, dark_api: Api, bearer: Token, library: Library
) -> None:
    video = library.publish("Quokkalicious sandwhich")
    library.refresh()
    for query in ("quokalicious", "quokkaliciuos", "quokkalicions sandwhich"):
        body = await ask(api, bearer(new_id()), query)
        assert ids(body) == [video], query
        assert "quokkalicious" in body["meta"]["corrected_query"]
        assert ids(await ask(dark_api, bearer(new_id()), query)) == [video]
    found = await ask(api, bearer(new_id()), "quokkalicious")
    assert (ids(found), found["meta"]["corrected_query"]) == ([video], None)


@pytest.mark.parametrize("is_dark", [False, True])
async def test_filters_leave_out_what_they_say(
    api: Api, dark_api: Api, bearer: Token, library: Library, is_dark: bool
) -> None:
    word = f"xylofilter{is_dark:d}".lower()
    creator = new_id()
    old = library.publish(word, creator=creator, category="1", age=timedelta(days=9))
    new = library.publish(word, category="2", age=timedelta(days=1))
    library.refresh()
    asked, headers = (dark_api if is_dark else api), bearer(new_id())

    async def found(**parameters: Any) -> list[int]:
        return ids(await ask(asked, headers, word, **parameters))

    week_ago = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    assert await found() == [new, old]
    assert await found(creator_id=str(creator)) == [old]
    assert await found(category="2") == [new]
    assert await found(**{"from": week_ago}) == [new]
    assert await found(to=week_ago) == [old]
    assert await found(category="2", creator_id=str(creator)) == []
    assert await found(to="1900-01-01T00:00:00Z") == []
    assert await found(**{"from": "2999-01-01T00:00:00Z"}) == []


@pytest.mark.parametrize("is_dark", [False, True])
async def test_deleted_unpublished_and_blocked_are_not_found(
    api: Api, dark_api: Api, bearer: Token, library: Library, is_dark: bool
) -> None:
    asked, viewer = (dark_api if is_dark else api), new_id()
    word = f"gonewords{is_dark:d}"
    blocked, blocker = new_id(), new_id()
    stays, deleted, unpublished = (library.publish(word) for _ in range(3))
    renamed = library.publish(word)
    for creator in (blocked, blocker):
        library.publish(word, creator=creator)
    library.publish(word, video=deleted, is_deleted=True)
    library.publish(word, video=unpublished, status="processing")
    library.publish("another name", video=renamed)
    library.postgres.execute("insert into app.users (id) values (%s)", (viewer,))
    pairs = [(viewer, blocked), (blocker, viewer)]
    for pair in pairs:
        library.postgres.execute(
            "insert into app.blocks (blocker_id, blocked_id) values (%s, %s)", pair
        )
    library.catalogue.insert(
        "blocks",
        ["blocker_id", "blocked_id", "created_at"],
        [[*pair, datetime.now(UTC)] for pair in pairs],
    )
    library.refresh()

    assert ids(await ask(asked, bearer(viewer), word)) == [stays]
    assert len(ids(await ask(asked, bearer(new_id()), word))) == 3


async def test_a_deletion_is_gone_before_it_has_landed(
    api: Api, bearer: Token, library: Library
) -> None:
    video = library.publish("ephemeralword")
    library.refresh()
    headers = bearer(new_id())
    assert ids(await ask(api, headers, "ephemeralword")) == [video]
    library.postgres.execute("update app.videos set deleted = true where id = %s", (video,))
    assert ids(await ask(api, headers, "ephemeralword")) == []


@pytest.mark.parametrize("is_dark", [False, True])
async def test_pages_neither_repeat_nor_skip(
    api: Api, dark_api: Api, bearer: Token, library: Library, is_dark: bool
) -> None:
    asked, headers = (dark_api if is_dark else api), bearer(new_id())
    word = f"pagesword{is_dark:d}"
    # Of different lengths, and so many of the same score at the same time that ids decide.
    videos = [
        library.publish(" ".join([word] + ["and"] * (number % 3)), age=timedelta(hours=number % 4))
        for number in range(25)
    ]
    library.refresh()
    walked: list[int] = []
    cursor = None
    while True:
        page = await ask(asked, headers, word, limit=7, **({"cursor": cursor} if cursor else {}))
        walked += ids(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
        library.publish(word, age=timedelta())  # later pages know nothing of it
    assert sorted(walked) == sorted(videos)
    assert len(page["data"]) == 4


async def test_a_walk_through_a_correction_goes_on(
    api: Api, bearer: Token, library: Library
) -> None:
    videos = [library.publish("Wobbegongology", age=timedelta(hours=n)) for n in range(3)]
    library.refresh()
    headers, query = bearer(new_id()), "wobbegongolgy"
    first = await ask(api, headers, query, limit=2)
    second = await ask(api, headers, query, limit=2, cursor=first["next_cursor"])
    assert ids(first) + ids(second) == videos
    assert second["meta"]["corrected_query"] == "wobbegongology"


async def test_a_cursor_is_of_one_viewer_and_one_search(
    api: Api, bearer: Token, library: Library
) -> None:
    for number in range(3):
        library.publish("cursorword", age=timedelta(hours=number))
    library.refresh()
    viewer = new_id()
    page = await ask(api, bearer(viewer), "cursorword", limit=1)
    cursor = page["next_cursor"]
    assert len(cursor) <= 128
    feed = (await api.get("/api/v1/reels?limit=1", headers=bearer(viewer))).json()["next_cursor"]

    async def reason(viewer_id: int, **parameters: Any) -> str:
        asked = {"q": "cursorword", "cursor": cursor, **parameters}
        response = await api.get(SEARCH, headers=bearer(viewer_id), params=asked)
        return str(problem_of(response, 400, "bad-cursor", "cursor")["reason"])

    assert await reason(new_id()) == "foreign-viewer"
    assert await reason(viewer, q="cursorwords") == "foreign-search"
    assert await reason(viewer, category="1") == "foreign-search"
    assert await reason(viewer, cursor=feed) == "foreign-surface"
    assert await reason(viewer, cursor=cursor[:-4] + "AAAA") == "forged"
    assert await reason(viewer, cursor=cursor[:20]) == "truncated"
    response = await api.get(f"/api/v1/reels?cursor={cursor}", headers=bearer(viewer))
    assert problem_of(response, 400, "bad-cursor", "cursor")["reason"] == "foreign-surface"


ODD = [
    "a",
    "7",
    "the of and",
    "...!?",
    "' or 1=1 --",
    "\"quoted\" 'quoted'",
    "%_\\ .* [a-z]+ (?:x) $^ {q:String} %(q)s",
    "a & b | !c :* <-> \\",
    "\0",
    "nul\0byte",
    "tab\tline\nfeed\r",
    "\u202e\u200b\ufeff",
    "🦖" * 200,
    "我" * 200,
    "ab " * 66,
]


async def test_an_odd_query_has_a_sensible_answer(api: Api, dark_api: Api, bearer: Token) -> None:
    for query in ODD:
        for asked in (api, dark_api):
            body = await ask(asked, bearer(new_id()), query)
            assert body["meta"]["degraded"] == ("none" if asked is api else "postgres"), query
            if not any(sign.isalnum() for sign in query) and "🦖" not in query:
                assert body["data"] == [], query


async def test_half_a_surrogate_pair_is_nothing_to_search_for(api: Api, bearer: Token) -> None:
    response = await api.get(f"{SEARCH}?q=%ED%A0%80", headers=bearer(new_id()))
    assert response.status_code == 200
    assert response.json()["data"] == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"q": ""}, "q"),
    ({"q": "x" * 10_000}, "q"),
    ({"q": "x", "limit": 0}, "limit"),
    ({"q": "x", "limit": 51}, "limit"),
    ({"q": "x", "creator_id": "one"}, "creator_id"),
    ({"q": "x", "category": "c" * 101}, "category"),
    ({"q": "x", "from": "yesterday"}, "from"),
    ({"q": "x", "from": "2026-01-31T00:00:00"}, "from"),
    ({"q": "x", "from": "2026-02-01T00:00:00Z", "to": "2026-01-31T00:00:00Z"}, "from"),
]


async def test_what_cannot_be_asked_is_refused_by_its_name(api: Api, bearer: Token) -> None:
    for parameters, field in REFUSED:
        response = await api.get(SEARCH, headers=bearer(new_id()), params=parameters)
        problem = problem_of(response, 400, "invalid-request", field)
        if len(str(parameters.get("q", ""))) > 1:
            assert "200" in problem["detail"]


async def test_without_a_query_there_is_nothing_to_answer(api: Api, bearer: Token) -> None:
    response = await api.get(SEARCH, headers=bearer(new_id()))
    assert "'q'" in problem_of(response, 400, "invalid-request")["detail"]


async def test_a_walk_ends_with_the_store_it_began_in(
    api: Api, dark_api: Api, bearer: Token, library: Library
) -> None:
    videos = [library.publish("crossword", age=timedelta(hours=number)) for number in range(3)]
    library.refresh()
    headers = bearer(new_id())
    bright = await ask(api, headers, "crossword", limit=2)
    dark = await ask(dark_api, headers, "crossword", limit=2)
    assert ids(bright) == ids(dark) == videos[:2]

    response = await dark_api.get(
        SEARCH, headers=headers, params={"q": "crossword", "cursor": bright["next_cursor"]}
    )
    problem_of(response, 503, "unavailable")
    assert response.headers["retry-after"]
    rest = await ask(api, headers, "crossword", cursor=dark["next_cursor"])
    assert (ids(rest), rest["meta"]["degraded"]) == (videos[2:], "postgres")
