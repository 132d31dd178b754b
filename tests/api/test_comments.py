"""Comments: written, paged newest first without gaps or repeats, taken back by their author."""

from __future__ import annotations

import time
from typing import Any

from api.cursor import CommentPlace, CursorCodec
from tests.api.conftest import Api, Token, World, new_id, problem_of

BASE = "/api/v1"


def addresses(world: World) -> list[str]:
    """Comments of a video and of a post."""
    return [f"{BASE}/reels/{world.video}/comments", f"{BASE}/posts/{world.post}/comments"]


async def commented(api: Api, address: str, headers: dict[str, str], body: str) -> dict[str, Any]:
    """A comment that must be taken."""
    response = await api.post(address, headers=headers, json={"body": body})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def page(api: Api, address: str, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    """A page that must come."""
    response = await api.get(address, headers=headers, params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["has_more"] == (answer["next_cursor"] is not None)
    return answer


async def test_a_comment_is_answered_and_listed(writing: Api, bearer: Token, world: World) -> None:
    longest = "ä\n🎬" * 666 + "!!"
    for number, address in enumerate(addresses(world)):
        item_id = str((world.video, world.post)[number])
        for count, body in enumerate([longest, "again"], 1):
            made = await commented(writing, address, bearer(world.viewer), body)
            assert (made.pop("comment_count"), made["body"]) == (count, body)
            assert made["item_id"] == item_id
            assert made["user_id"] == str(world.viewer)
            assert made["username"] == f"u{world.viewer}"
            assert made["created_at"].endswith("Z")
            assert (await page(writing, address, bearer(world.other)))["data"][0] == made


async def test_pages_hold_every_comment_once(writing: Api, bearer: Token, world: World) -> None:
    me = bearer(world.viewer)
    for address in addresses(world):
        assert (await page(writing, address, me))["data"] == []
        made = [await commented(writing, address, me, f"{n}") for n in range(7)]
        # As old as each other: the id decides.
        world.postgres.execute(
            "update app.comments set created_at = (select max(created_at) from app.comments) "
            "where id = any(%s)",
            ([int(one["id"]) for one in made[2:6]],),
        )
        shown: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            found = await page(writing, address, me, limit=2, **cursor)
            shown += [one["id"] for one in found["data"]]
            if len(shown) == 2:  # what is new meanwhile is on the pages before
                await commented(writing, address, me, "meanwhile")
            if found["next_cursor"] is None:
                break
            cursor = {"cursor": found["next_cursor"]}
            assert len(cursor["cursor"]) < 100
        assert sorted(shown) == sorted(one["id"] for one in made)
        assert len((await page(writing, address, me, limit=8))["data"]) == 8


async def test_only_its_author_takes_a_comment_back(
    writing: Api, bearer: Token, world: World
) -> None:
    me = bearer(world.viewer)
    for address in addresses(world):
        kept = await commented(writing, address, bearer(world.other), "kept")
        comment = f"{address}/{(await commented(writing, address, me, 'oh'))['id']}"
        others = await writing.delete(comment, headers=bearer(world.other))
        problem_of(others, 403, "forbidden", "comment_id")
        for _ in range(2):
            response = await writing.delete(comment, headers=me)
            assert (response.status_code, response.json()) == (200, {"comment_count": 1})
        assert [one["id"] for one in (await page(writing, address, me))["data"]] == [kept["id"]]
        unknown = await writing.delete(f"{address}/{new_id()}", headers=me)
        problem_of(unknown, 404, "not-found", "comment_id")
        too_large = await writing.delete(f"{address}/{2**63}", headers=me)
        problem_of(too_large, 404, "not-found", "comment_id")
        # One item's comment is not another's.
        elsewhere = f"{BASE}/reels/{world.videos[1]}/comments/{kept['id']}"
        response = await writing.delete(elsewhere, headers=bearer(world.other))
        problem_of(response, 404, "not-found", "comment_id")


async def test_a_comment_says_something(writing: Api, bearer: Token, world: World) -> None:
    bodies: list[Any] = [None, 1, "", " \n\t", "a\0"]
    for body in ({}, *({"body": body} for body in bodies)):
        response = await writing.post(addresses(world)[0], headers=bearer(world.viewer), json=body)
        problem_of(response, 400, "invalid-request", "body")


async def test_a_comment_has_2000_characters(writing: Api, bearer: Token, world: World) -> None:
    me, address = bearer(world.viewer), addresses(world)[0]
    response = await writing.post(address, headers=me, json={"body": "ä" * 2_001})
    problem_of(response, 400, "invalid-request", "body")
    await commented(writing, address, me, "ä" * 2_000)


async def test_cursors_are_of_one_item_and_of_us(
    writing: Api, bearer: Token, world: World, storing: Any
) -> None:
    me, (address, other) = bearer(world.viewer), addresses(world)
    for n in range(3):
        await commented(writing, address, me, f"{n}")
    good = (await page(writing, address, me, limit=1))["next_cursor"]
    # Anybody may go on where somebody stood.
    assert (await page(writing, address, bearer(world.other), cursor=good))["data"]
    old = CursorCodec(
        storing.cursor_secret, storing.snapshot_ttl_seconds, lambda: time.time() - 10**6
    ).encode_comment(CommentPlace(world.one("select now()"), 1), "video", world.video)
    swapped = ("B" if good[0] == "A" else "A") + good[1:]
    for cursor, reason in (
        ("", "truncated"),
        (good[:-1], "truncated"),
        (good[:20], "truncated"),
        (good[:30] + ("x" if good[30] != "x" else "y") + good[31:], "forged"),
        (good + "AAAA", "forged"),
        ("nonsense!", "forged"),
        (swapped, "forged"),
        (old, "expired"),
    ):
        response = await writing.get(address, headers=me, params={"cursor": cursor})
        assert problem_of(response, 400, "bad-cursor", "cursor")["reason"] == reason, cursor
    response = await writing.get(other, headers=me, params={"cursor": good})
    assert problem_of(response, 400, "bad-cursor", "cursor")["reason"] == "foreign-surface"
    reels = await writing.get(f"{BASE}/reels", headers=me, params={"cursor": good})
    assert problem_of(reels, 400, "bad-cursor", "cursor")["reason"] == "foreign-surface"
    for limit in (0, 101, "many"):
        response = await writing.get(address, headers=me, params={"limit": limit})
        problem_of(response, 400, "invalid-request", "limit")
