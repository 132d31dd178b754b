"""HTTP of likes, playbacks, shares, comments, posts, follows and blocks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from litestar import Controller, Response, delete, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter, RequestBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT
from litestar.types import OperationIDCreator

from api.auth import ViewerRequest
from api.bodies import JsonBody, with_example
from api.counters.counts import ItemType
from api.engagement.reader import CommentReader
from api.engagement.schemas import (
    AddedComment,
    Blocked,
    CommentCount,
    CommentPage,
    CommentsMeta,
    Following,
    Hidden,
    Liked,
    NewComment,
    NewPost,
    Post,
    Share,
    Shared,
    Watch,
    WatchBatch,
    Watched,
    WatchedAll,
)
from api.engagement.writer import ItemWriter, PostWriter, UserWriter
from api.errors import problem_specs
from api.ids import PathId, id_of
from api.logging import record_of
from api.patterns import form

OF_ITEM = (400, 401, 404, 410, 429, 503)
WITH_BODY = (413, 415)

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=form("^[ -~]+$", "of printable ASCII characters"),
        description="Names this request for 24 hours: sent again with the same key it changes "
        "nothing and answers the same",
    ),
]
CommentsCursor = Annotated[
    str | None,
    QueryParameter(description="`next_cursor` of the page before", max_length=512),
]


LOCATION = ResponseHeader(
    name="Location",
    value="/api/v1/posts/1",
    description="Address of the post",
    documentation_only=True,
    required=True,
)


def answers(kind: Any, description: str, *problems: int, status: int = 200) -> dict[str, Any]:
    """Return the `responses` of a handler; Litestar calls them by number."""
    answer = ResponseSpec(kind, description=description, generate_examples=False)
    return {"responses": {status: answer, **problem_specs(*problems)}}


def operation(verb: str) -> OperationIDCreator:
    """Return what names an operation by its verb and what it is done to: `LikeReel`, `LikePost`."""

    def operation_id(_: HTTPRouteHandler, __: Any, path: list[Any]) -> str:
        return verb.format({"reels": "Reel", "posts": "Post"}[path[2]])

    return operation_id


class ItemController(Controller):
    """What can be done to a video and to a post alike."""

    item_type: ClassVar[ItemType]
    dto = JsonBody
    return_dto = None

    @post(
        "/{item_id:str}/like",
        operation_id=operation("Like{}"),
        summary="Like it; again changes nothing",
        status_code=HTTP_200_OK,
        **answers(Liked, "Liked", *OF_ITEM),
    )
    async def like(
        self, request: ViewerRequest, items: NamedDependency[ItemWriter], item_id: PathId
    ) -> Liked:
        """Like an item."""
        item = id_of(item_id, "item_id")
        return await items.like(request.user.user_id, self.item_type, item)

    @delete(
        "/{item_id:str}/like",
        operation_id=operation("Unlike{}"),
        summary="Take a like back; again changes nothing",
        status_code=HTTP_200_OK,
        **answers(Liked, "Not liked", *OF_ITEM),
    )
    async def unlike(
        self, request: ViewerRequest, items: NamedDependency[ItemWriter], item_id: PathId
    ) -> Liked:
        """Take a like back."""
        item = id_of(item_id, "item_id")
        return await items.unlike(request.user.user_id, self.item_type, item)

    @post(
        "/{item_id:str}/share",
        operation_id=operation("Share{}"),
        summary="Note a share",
        description="Several within a second count once.",
        status_code=HTTP_200_OK,
        operation_class=with_example({"share_target": "whatsapp"}),
        **answers(Shared, "Noted", *OF_ITEM, *WITH_BODY, 422),
    )
    async def share(
        self,
        request: ViewerRequest,
        items: NamedDependency[ItemWriter],
        item_id: PathId,
        data: RequestBody[Share],
        idempotency_key: IdempotencyKey = None,
    ) -> Shared:
        """Note a share."""
        item = id_of(item_id, "item_id")
        return await items.share(
            request.user.user_id, self.item_type, item, data.share_target, idempotency_key
        )

    @post(
        "/{item_id:str}/comments",
        operation_id=operation("CommentOn{}"),
        summary="Comment on it",
        status_code=HTTP_201_CREATED,
        operation_class=with_example({"body": "How did you do that?"}),
        **answers(AddedComment, "Added", *OF_ITEM, *WITH_BODY, 422, status=201),
    )
    async def comment(
        self,
        request: ViewerRequest,
        items: NamedDependency[ItemWriter],
        item_id: PathId,
        data: RequestBody[NewComment],
        idempotency_key: IdempotencyKey = None,
    ) -> AddedComment:
        """Add a comment."""
        item = id_of(item_id, "item_id")
        return await items.comment(
            request.user.user_id, self.item_type, item, data.body, idempotency_key
        )

    @get(
        "/{item_id:str}/comments",
        operation_id=operation("Get{}Comments"),
        summary="Its comments, newest first",
        **answers(CommentPage, "A page", *OF_ITEM),
    )
    async def comments(
        self,
        request: ViewerRequest,
        comments: NamedDependency[CommentReader],
        item_id: PathId,
        limit: Annotated[
            int, QueryParameter(ge=1, le=100, description="Comments of a page (count)")
        ] = 20,
        cursor: CommentsCursor = None,
    ) -> CommentPage:
        """Return a page of comments."""
        item = id_of(item_id, "item_id")
        found, next_cursor = await comments.page(self.item_type, item, limit, cursor)
        record = record_of(request.scope)
        record.rows = len(found)
        return CommentPage(
            data=found,
            has_more=next_cursor is not None,
            next_cursor=next_cursor,
            meta=CommentsMeta(record.elapsed_ms()),
        )

    @delete(
        "/{item_id:str}/comments/{comment_id:str}",
        operation_id=operation("Delete{}Comment"),
        summary="Take a comment of one's own back; again changes nothing",
        status_code=HTTP_200_OK,
        **answers(CommentCount, "Deleted", *OF_ITEM, 403),
    )
    async def delete_comment(
        self,
        request: ViewerRequest,
        items: NamedDependency[ItemWriter],
        item_id: PathId,
        comment_id: PathId,
    ) -> CommentCount:
        """Take a comment back."""
        return await items.delete_comment(
            request.user.user_id,
            self.item_type,
            id_of(item_id, "item_id"),
            id_of(comment_id, "comment_id"),
        )


class ReelActionsController(ItemController):
    """What can be done to a video."""

    path = "/api/v1/reels"
    tags = ("reels",)
    item_type = "video"

    @post(
        "/{item_id:str}/watch",
        operation_id="WatchReel",
        summary="Note a playback",
        description="The video is on no later page. Several within a second count once.",
        status_code=HTTP_200_OK,
        operation_class=with_example({"completion_percent": 80, "watch_ms": 12000}),
        **answers(Watched, "Noted", *OF_ITEM, *WITH_BODY, 422),
    )
    async def watch(
        self,
        request: ViewerRequest,
        items: NamedDependency[ItemWriter],
        item_id: PathId,
        data: RequestBody[Watch],
        idempotency_key: IdempotencyKey = None,
    ) -> Watched:
        """Note a playback."""
        item = id_of(item_id, "item_id")
        return await items.watch(request.user.user_id, item, data, idempotency_key)

    @post(
        "/watch",
        operation_id="WatchReels",
        summary="Note up to 100 playbacks",
        description="All or nothing. With an `Idempotency-Key`, or where each has its "
        "`event_time`, a retry counts nothing twice.",
        status_code=HTTP_200_OK,
        operation_class=with_example(
            {
                "watches": [
                    {
                        "video_id": "9007199254740993",
                        "completion_percent": 80,
                        "watch_ms": 12000,
                        "event_time": "2026-11-21T12:00:00Z",
                    }
                ]
            }
        ),
        **answers(WatchedAll, "Noted", *OF_ITEM, *WITH_BODY, 422),
    )
    async def watch_all(
        self,
        request: ViewerRequest,
        items: NamedDependency[ItemWriter],
        data: RequestBody[WatchBatch],
        idempotency_key: IdempotencyKey = None,
    ) -> WatchedAll:
        """Note playbacks."""
        return await items.watch_all(request.user.user_id, data.watches, idempotency_key)

    @post(
        "/{item_id:str}/not-interested",
        operation_id="HideReel",
        summary="Never show it to the viewer again",
        status_code=HTTP_200_OK,
        **answers(Hidden, "Hidden", *OF_ITEM),
    )
    async def hide(
        self, request: ViewerRequest, items: NamedDependency[ItemWriter], item_id: PathId
    ) -> Hidden:
        """Spare the viewer a video."""
        return await items.hide(request.user.user_id, id_of(item_id, "item_id"))


class PostActionsController(ItemController):
    """What can be done to a post; and posts."""

    path = "/api/v1/posts"
    tags = ("posts",)
    item_type = "post"

    @post(
        operation_id="CreatePost",
        summary="Publish a post",
        status_code=HTTP_201_CREATED,
        operation_class=with_example({"body": "Look at this sunset", "hashtags": ["sunset"]}),
        response_headers=[LOCATION],
        # Litestar leaves the headers out of an answer that is described in `responses`.
        response_description="Published",
        responses=problem_specs(400, 401, 410, *WITH_BODY, 422, 429, 503),
    )
    async def create(
        self,
        request: ViewerRequest,
        posts: NamedDependency[PostWriter],
        data: RequestBody[NewPost],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Post]:
        """Publish a post."""
        made = await posts.create(request.user.user_id, data, idempotency_key)
        return Response(made, headers={"Location": f"{self.path}/{made.post_id}"})

    @delete(
        "/{item_id:str}",
        operation_id="DeletePost",
        summary="Take a post of one's own back; again changes nothing",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_specs(400, 401, 403, 404, 429, 503),
    )
    async def delete(
        self, request: ViewerRequest, posts: NamedDependency[PostWriter], item_id: PathId
    ) -> None:
        """Take a post back."""
        await posts.delete(request.user.user_id, id_of(item_id, "item_id"))


class UserController(Controller):
    """What a viewer decides about another user."""

    path = "/api/v1/users"
    tags = ("users",)

    @post(
        "/{user_id:str}/follow",
        operation_id="FollowUser",
        summary="Follow a user; again changes nothing",
        description="A 403 where either blocks the other.",
        status_code=HTTP_200_OK,
        **answers(Following, "Followed", *OF_ITEM, 403),
    )
    async def follow(
        self, request: ViewerRequest, users: NamedDependency[UserWriter], user_id: PathId
    ) -> Following:
        """Follow a user."""
        return await users.follow(request.user.user_id, id_of(user_id, "user_id"))

    @delete(
        "/{user_id:str}/follow",
        operation_id="UnfollowUser",
        summary="Follow a user no longer; again changes nothing",
        status_code=HTTP_200_OK,
        **answers(Following, "Not followed", *OF_ITEM),
    )
    async def unfollow(
        self, request: ViewerRequest, users: NamedDependency[UserWriter], user_id: PathId
    ) -> Following:
        """Follow a user no longer."""
        return await users.unfollow(request.user.user_id, id_of(user_id, "user_id"))

    @post(
        "/{user_id:str}/block",
        operation_id="BlockUser",
        summary="Block a user; again changes nothing",
        description="Neither sees or follows the other any more.",
        status_code=HTTP_200_OK,
        **answers(Blocked, "Blocked", *OF_ITEM),
    )
    async def block(
        self, request: ViewerRequest, users: NamedDependency[UserWriter], user_id: PathId
    ) -> Blocked:
        """Block a user."""
        return await users.block(request.user.user_id, id_of(user_id, "user_id"))

    @delete(
        "/{user_id:str}/block",
        operation_id="UnblockUser",
        summary="Lift a block; again changes nothing",
        status_code=HTTP_200_OK,
        **answers(Blocked, "Not blocked", *OF_ITEM),
    )
    async def unblock(
        self, request: ViewerRequest, users: NamedDependency[UserWriter], user_id: PathId
    ) -> Blocked:
        """Lift a block."""
        return await users.unblock(request.user.user_id, id_of(user_id, "user_id"))
