"""Actions of viewers: one call of Postgres each, and what follows from it for feeds."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

import msgspec
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from api.counters.counts import ItemType
from api.engagement.schemas import (
    AddedComment,
    Blocked,
    CommentCount,
    Following,
    Hidden,
    Liked,
    NewPost,
    Post,
    Shared,
    Watch,
    Watched,
    WatchedAll,
    WatchOfVideo,
)
from api.engagement.statements import ITEM_NAMES, SQL, USER_NAMES, WATCH_NAMES
from api.snapshots.exclusions import Hiding
from api.snapshots.touches import ALL_LISTS, Touch
from api.writes import Effects, Writes


class ItemWriter:
    """What a viewer does to a video or post."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes
        self._touches = writes.touches

    async def like(self, viewer_id: int, item_type: ItemType, item_id: int) -> Liked:
        """Like an item; again changes nothing."""
        row = await self._engage("like_item", viewer_id, item_type=item_type, item_id=item_id)
        return Liked(row["like_count"], row["liked"])

    async def unlike(self, viewer_id: int, item_type: ItemType, item_id: int) -> Liked:
        """Take a like back; again changes nothing."""
        row = await self._engage("unlike_item", viewer_id, item_type=item_type, item_id=item_id)
        return Liked(row["like_count"], row["liked"])

    async def share(
        self, viewer_id: int, item_type: ItemType, item_id: int, target: str, key: str | None
    ) -> Shared:
        """Note a share."""
        row = await self._engage(
            "share_item",
            viewer_id,
            item_type=item_type,
            item_id=item_id,
            share_target=target,
            request_key=key,
        )
        return Shared(row["share_count"])

    async def comment(
        self, viewer_id: int, item_type: ItemType, item_id: int, body: str, key: str | None
    ) -> AddedComment:
        """Add a comment."""
        row = await self._engage(
            "comment_on_item",
            viewer_id,
            item_type=item_type,
            item_id=item_id,
            body=body,
            request_key=key,
        )
        return AddedComment(
            id=str(row["comment_id"]),
            item_id=str(item_id),
            user_id=str(viewer_id),
            username=row["username"],
            body=body,
            created_at=row["created_at"],
            comment_count=row["comment_count"],
        )

    async def delete_comment(
        self, viewer_id: int, item_type: ItemType, item_id: int, comment_id: int
    ) -> CommentCount:
        """Take a comment of one's own back; again changes nothing."""
        row = await self._engage(
            "delete_comment",
            viewer_id,
            item_type=item_type,
            item_id=item_id,
            comment_id=comment_id,
        )
        return CommentCount(row["comment_count"])

    async def watch(self, viewer_id: int, video_id: int, watch: Watch, key: str | None) -> Watched:
        """Note a playback: the video comes back on no page."""
        parameters = {
            "viewer_id": viewer_id,
            "item_id": video_id,
            "request_key": key,
            **msgspec.structs.asdict(watch),
        }
        row = await self._writes.write(
            SQL["watch_video"],
            parameters,
            lambda row: (self._touches.note(seen(viewer_id, row, video_id)),),
            names=ITEM_NAMES,
        )
        return Watched(row["view_count"])

    async def watch_all(
        self, viewer_id: int, watches: list[WatchOfVideo], key: str | None
    ) -> WatchedAll:
        """Note playbacks, all or nothing."""
        videos = {int(watch.video_id) for watch in watches}
        row = await self._writes.write(
            SQL["watch_videos"],
            {
                "viewer_id": viewer_id,
                "watches": Jsonb(watches, dumps=msgspec.json.encode),
                "request_key": key,
            },
            lambda row: (self._touches.note(seen(viewer_id, row, *videos)),),
            names=WATCH_NAMES,
            batch="watches",
        )
        return WatchedAll(row["received"], row["deduped"])

    async def hide(self, viewer_id: int, video_id: int) -> Hidden:
        """Spare the viewer a video, for good."""
        row = await self._writes.write(
            SQL["hide_video"],
            {"viewer_id": viewer_id, "item_id": video_id},
            lambda row: (self._touches.note(seen(viewer_id, row, video_id, is_reranked=True)),),
            names=ITEM_NAMES,
        )
        return Hidden(row["hidden"])

    async def _engage(self, statement: str, viewer_id: int, **parameters: Any) -> DictRow:
        return await self._writes.write(
            SQL[statement],
            {"viewer_id": viewer_id, **parameters},
            lambda row: (self._writes.rerank(viewer_id, row["txid"]),),
            names=ITEM_NAMES,
        )


class PostWriter:
    """Posts of the viewer's own."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    async def create(self, viewer_id: int, new: NewPost, key: str | None) -> Post:
        """Publish a post; followers' feeds learn of it."""
        row = await self._writes.write(
            SQL["create_post"],
            {
                "viewer_id": viewer_id,
                "body": new.body,
                "hashtags": new.hashtags,
                "request_key": key,
            },
            self._fan_out(viewer_id),
        )
        return Post(str(row["post_id"]), str(viewer_id), row["created_at"])

    async def delete(self, viewer_id: int, post_id: int) -> None:
        """Take a post back; again changes nothing. It leaves everybody's later pages at once."""
        touches = self._writes.touches

        def effects(row: DictRow) -> Iterable[Awaitable[None]]:
            deletion = Touch(viewer_id=viewer_id, deleted_posts=[post_id])
            return (touches.note(deletion), *self._fan_out(viewer_id)(row))

        await self._writes.write(
            SQL["delete_post"],
            {"viewer_id": viewer_id, "item_id": post_id},
            effects,
            names=ITEM_NAMES,
        )

    def _fan_out(self, author_id: int) -> Effects:
        def effects(row: DictRow) -> tuple[Awaitable[None]]:
            return (self._writes.touches.posted(author_id, row["follower_ids"], row["txid"]),)

        return effects


class UserWriter:
    """What a viewer decides about another user."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    async def follow(self, viewer_id: int, user_id: int) -> Following:
        """Follow a user; again changes nothing."""
        row = await self._write("follow_user", viewer_id, user_id, self._reranked(viewer_id))
        return Following(row["following"], row["follower_count"])

    async def unfollow(self, viewer_id: int, user_id: int) -> Following:
        """Follow a user no longer; again changes nothing."""
        row = await self._write("unfollow_user", viewer_id, user_id, self._reranked(viewer_id))
        return Following(row["following"], row["follower_count"])

    async def block(self, viewer_id: int, user_id: int) -> Blocked:
        """Block a user: neither sees the other's items any more, on pages under way included."""
        return await self._decide("block_user", viewer_id, user_id)

    async def unblock(self, viewer_id: int, user_id: int) -> Blocked:
        """Lift a block: both see each other again, unless the other blocks the viewer too."""
        return await self._decide("unblock_user", viewer_id, user_id)

    async def _decide(self, statement: str, viewer_id: int, user_id: int) -> Blocked:
        def effects(row: DictRow) -> tuple[Awaitable[None]]:
            txid, is_hidden, hidden_txid = row["txid"], row["is_hidden"], row["hidden_txid"]
            touches = (
                Touch(
                    viewer_id=one,
                    txid=txid,
                    is_reranked=True,
                    item_types=ALL_LISTS,
                    # None: there never was a block.
                    hidings=[Hiding(other, is_hidden, hidden_txid)] if hidden_txid else (),
                )
                for one, other in ((viewer_id, user_id), (user_id, viewer_id))
            )
            return (self._writes.touches.note(*touches),)

        row = await self._write(statement, viewer_id, user_id, effects)
        return Blocked(row["blocked"])

    def _reranked(self, viewer_id: int) -> Effects:
        def effects(row: DictRow) -> tuple[Awaitable[None]]:
            touch = Touch(
                viewer_id=viewer_id, txid=row["txid"], is_reranked=True, item_types=ALL_LISTS
            )
            return (self._writes.touches.note(touch),)

        return effects

    async def _write(
        self, statement: str, viewer_id: int, user_id: int, effects: Effects
    ) -> DictRow:
        return await self._writes.write(
            SQL[statement],
            {"viewer_id": viewer_id, "user_id": user_id},
            effects,
            names=USER_NAMES,
        )


def seen(viewer_id: int, row: DictRow, *video_ids: int, is_reranked: bool = False) -> Touch:
    """Return the touch of videos the viewer is done with."""
    return Touch(
        viewer_id=viewer_id, txid=row["txid"], seen_videos=video_ids, is_reranked=is_reranked
    )
