"""What clients report, and what they are told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from api.ids import ItemId
from api.patterns import END, form

MOST_EVENTS = 100  # of one batch (count)

# By the grammar of semver.org.
SEMANTIC_VERSION = form(
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?" + END,
    "a semantic version, such as 2.10.3",
)
# White space and control characters, one by one: Python's `\s` is not that of JSON schema.
BLANK = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
# Postgres stores every character but NUL.
SAYS_SOMETHING = form(
    rf"^[^\x00]*[^{BLANK}][^\x00]*$", "a text that is not blank, without the character NUL"
)

ItemType = Annotated[Literal["video", "post"], Meta(description="Kind of the item")]
Action = Literal[
    "impression",
    "view",
    "dwell",
    "like",
    "unlike",
    "comment",
    "share",
    "not_interested",
    "follow_from_item",
    "profile_visit",
]
Time = Annotated[
    datetime,
    Meta(
        tz=True,
        description="RFC 3339 with offset: at most five minutes ahead, at most 30 days old. The "
        "second counts: see docs/api.md",
    ),
]
FeedRequestId = Annotated[UUID, Meta(description="The feed request that showed the item")]


class Event(Struct, frozen=True):
    """
    One thing the viewer did. Whose token it is decides who that is.

    `watch_ms` and `completion` belong to views. Other fields are not read.
    """

    event_time: Time
    item_id: ItemId
    item_type: ItemType
    action: Action
    device: Annotated[str, Meta(min_length=1, max_length=200, pattern=SAYS_SOMETHING)]
    app_ver: Annotated[
        str, Meta(max_length=100, pattern=SEMANTIC_VERSION, description="A semantic version")
    ]
    author_id: Annotated[
        ItemId | None, Meta(description="Taken and not used: the item knows its author")
    ] = None
    dwell_ms: Annotated[int, Meta(ge=0, le=3_600_000)] | None = None
    watch_ms: Annotated[int, Meta(ge=0, le=86_400_000)] | None = None
    completion: (
        Annotated[float, Meta(ge=0, le=1, description="Share of the video that was played")] | None
    ) = None
    feed_request_id: FeedRequestId | None = None


class EventBatch(Struct, frozen=True):
    """Up to 100 events, stored all or none."""

    events: Annotated[list[Event], Meta(max_length=MOST_EVENTS)]


class RawBatch(Struct, frozen=True):
    """A batch whose events are left as they came, for Postgres."""

    events: Raw


class Ingested(Struct, frozen=True, omit_defaults=True):
    """What became of a batch (counts): the rest of `received` is new."""

    received: Annotated[int, Meta(ge=0)]
    deduped: Annotated[int, Meta(ge=0, description="Had been there already, or changed nothing")]
    queued: (
        Annotated[int, Meta(ge=1, description="Wait for an item that is not known yet")] | UnsetType
    ) = UNSET
