"""HTTP of events."""

from __future__ import annotations

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import RequestBody
from litestar.status_codes import HTTP_202_ACCEPTED

from api.auth import ViewerRequest
from api.bodies import JsonBody, Unread, with_example
from api.errors import problem_specs
from api.events.schemas import EventBatch, Ingested
from api.events.writer import EventWriter

EXAMPLE = {
    "events": [
        {
            "event_time": "2026-11-21T12:00:00Z",
            "item_id": "9007199254740993",
            "item_type": "video",
            "action": "view",
            "watch_ms": 12000,
            "completion": 0.8,
            "device": "Pixel 9",
            "app_ver": "2.10.3",
        }
    ]
}


class EventsController(Controller):
    """What clients report."""

    path = "/api/v1/events"
    tags = ("events",)
    dto = JsonBody
    return_dto = None

    @post(
        operation_id="IngestEvents",
        summary="Report up to 100 events",
        description="All or nothing: one bad event refuses the batch with every faulty field, as "
        "in `events[3].device`. The same event (item, action, second) sent again is counted once.",
        status_code=HTTP_202_ACCEPTED,
        operation_class=with_example(EXAMPLE),
        responses={
            202: ResponseSpec(Ingested, description="Stored for good", generate_examples=False),
            **problem_specs(400, 401, 410, 413, 415, 429, 503),
        },
    )
    async def ingest(
        self,
        request: ViewerRequest,
        event_writer: NamedDependency[EventWriter],
        data: RequestBody[Unread[EventBatch]],
    ) -> Ingested:
        """Store a batch."""
        return await event_writer.ingest(request.user.user_id, data)
