"""HTTP of the health checks: no token, no limit, and never a driver's message."""

from __future__ import annotations

import time
from typing import Literal

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from msgspec import Struct

from api.snapshots.walk import Flights
from api.stores import Stores

# One look at the stores answers everybody who asks within this time (seconds).
LOOK_SECONDS = 0.5

StoreState = Literal["up", "down"]
Status = Literal["ok", "degraded", "down"]


class Health(Struct, frozen=True):
    """Whether feeds can be served, and which stores answer."""

    status: Status
    stores: dict[str, StoreState]
    failing: list[str]


class Live(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class HealthReader:
    """Asks the stores, once for everybody."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._flights = Flights()
        self._last: tuple[float, Health] | None = None

    async def look(self) -> Health:
        """Return the state of the stores, at most half a second old."""
        if self._last is not None and time.monotonic() < self._last[0]:
            return self._last[1]
        return await self._flights.join("look", self._look)

    async def _look(self) -> Health:
        answers = await self._stores.ping()
        failing = sorted(name for name, is_up in answers.items() if not is_up)
        status: Status = "ok"
        if failing:
            # Either of the two can serve a feed: rankings live in one, snapshots in the other.
            can_serve = answers["clickhouse"] or answers["redis"]
            status = "degraded" if can_serve else "down"
        health = Health(
            status=status,
            stores={name: "up" if is_up else "down" for name, is_up in answers.items()},
            failing=failing,
        )
        self._last = time.monotonic() + LOOK_SECONDS, health
        return health


class HealthController(Controller):
    """Health, for people, balancers and orchestrators."""

    tags = ("operations",)
    opt = {"exclude_from_auth": True}  # noqa: RUF012  Litestar's way
    security = [{}]  # noqa: RUF012  none

    @get(
        ["/health", "/api/v1/health"],
        summary="Can feeds be served? 200 while they can, however degraded",
        responses={503: ResponseSpec(Health, description="No store to serve from")},
    )
    async def health(self, health: NamedDependency[HealthReader]) -> Response[Health]:
        """Return the state of the service and its stores."""
        look = await health.look()
        return Response(
            look,
            status_code=HTTP_503_SERVICE_UNAVAILABLE if look.status == "down" else HTTP_200_OK,
        )

    @get(
        ["/health/live", "/api/v1/health/live"],
        summary="Does the process answer? Touches nothing",
    )
    async def live(self) -> Live:
        """Say that the process answers."""
        return Live()

    @get(
        ["/health/ready", "/api/v1/health/ready"],
        summary="Do all stores answer? 503 names those that do not",
        responses={503: ResponseSpec(Health, description="Some stores do not answer")},
    )
    async def ready(self, health: NamedDependency[HealthReader]) -> Response[Health]:
        """Ping every store."""
        look = await health.look()
        return Response(
            look, status_code=HTTP_503_SERVICE_UNAVAILABLE if look.failing else HTTP_200_OK
        )
