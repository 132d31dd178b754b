"""Comments of an item, page by page."""

from __future__ import annotations

from api.counters.counts import ItemType
from api.cursor import CommentPlace, CursorCodec
from api.engagement.schemas import Comment
from api.engagement.statements import ITEM_NAMES, SQL
from api.stores import Postgres, RefusedError
from api.writes import problem_of


class CommentReader:
    """Comments of an item, newest first."""

    def __init__(self, postgres: Postgres, cursors: CursorCodec) -> None:
        self._postgres = postgres
        self._cursors = cursors

    async def page(
        self, item_type: ItemType, item_id: int, limit: int, cursor: str | None
    ) -> tuple[list[Comment], str | None]:
        """Return a page and the cursor of the next one; raises `BadCursorError` or a problem."""
        before = None
        if cursor is not None:
            before = self._cursors.decode_comment(cursor, item_type, item_id)
        parameters = {
            "item_type": item_type,
            "item_id": item_id,
            "before_created_at": before and before.created_at,
            "before_id": before and before.comment_id,
            "limit": limit + 1,  # the extra one tells whether there is another page
        }
        try:
            rows = await self._postgres.rows(SQL["list_comments"], parameters)
        except RefusedError as exc:
            raise problem_of(exc, ITEM_NAMES) from exc
        comments = [
            Comment(
                id=str(row["comment_id"]),
                item_id=str(item_id),
                user_id=str(row["user_id"]),
                username=row["username"],
                body=row["body"],
                created_at=row["created_at"],
            )
            for row in rows[:limit]
        ]
        if len(rows) <= limit:
            return comments, None
        last = CommentPlace(comments[-1].created_at, int(comments[-1].id))
        return comments, self._cursors.encode_comment(last, item_type, item_id)
