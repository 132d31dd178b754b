"""The ASGI application: what belongs together, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Response, get
from litestar.di import NamedDependency, Provide
from litestar.middleware import DefineMiddleware
from litestar.plugins.prometheus import PrometheusController
from litestar.static_files import create_static_files_router

from api.auth import VerifiedTokens, jwt_auth
from api.counters.store import CounterStore
from api.cursor import CursorCodec
from api.discovery.controller import DiscoveryController
from api.discovery.readers import Discovery
from api.document import PAGE_ASSETS, document_config, page_assets
from api.engagement.controller import (
    PostActionsController,
    ReelActionsController,
    UserController,
)
from api.engagement.reader import CommentReader
from api.engagement.writer import ItemWriter, PostWriter, UserWriter
from api.errors import EXCEPTION_HANDLERS
from api.events.controller import EventsController
from api.events.writer import EventWriter
from api.feed.charts import PostCharts, PostChartsController
from api.feed.controller import FeedController
from api.feed.queries import PostQueries, TimelineQueries
from api.feed.reader import posts_feed
from api.health.controller import HealthController, HealthReader
from api.hits import HitMiddleware
from api.limits import ChargeMiddleware, Limiter, RateLimitMiddleware
from api.logging import RequestMiddleware, configure_logging
from api.methods import MethodsMiddleware
from api.reels.cards import ReelCards
from api.reels.charts import ReelCharts
from api.reels.controller import ReelsController
from api.reels.queries import ReelQueries
from api.reels.reader import reels_feed
from api.search.controller import SearchController
from api.search.queries import SearchQueries
from api.search.reader import Search
from api.settings import Settings
from api.similar.controller import SimilarController
from api.similar.reader import SimilarVideos
from api.snapshots.landed import LandedWatch
from api.snapshots.releases import ReleaseWatch
from api.snapshots.touches import Touches
from api.snapshots.walk import Walks
from api.stores import Stores
from api.trending.charts import uses_charts
from api.trending.controller import UseChartsController
from api.vectors import vector_index
from api.workermetrics import worker_metrics
from api.writes import Writes

LARGEST_BODY_BYTES = 1_000_000


class MetricsController(PrometheusController):
    """Litestar's, and what workers tell; without a token and not in the document."""

    opt = {"exclude_from_auth": True}  # noqa: RUF012  Litestar's way
    include_in_schema = False

    @get()
    async def get(self, stores: NamedDependency[Stores]) -> Response[bytes]:
        """Return the metrics of the service's processes, then those of the workers."""
        ours: Response[bytes] = await PrometheusController.get.fn(self)
        ours.content += await worker_metrics(stores.redis)
        return ours


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the application; without settings they are read from the environment."""
    settings = settings or Settings.from_environ()
    configure_logging(settings)

    stores = Stores(settings)
    counters = CounterStore(stores.redis, stores.postgres, settings)
    touches = Touches(stores.redis, settings)
    writes = Writes(stores.postgres, counters, touches)
    limiter = Limiter(stores.redis, settings.rate_limit_per_minute)
    tokens = VerifiedTokens(settings)
    cursors = CursorCodec(settings.cursor_secret, settings.snapshot_ttl_seconds)
    releases = ReleaseWatch(stores.clickhouse)
    landed = LandedWatch(stores.redis, settings)
    walks = Walks.over(stores, limiter, releases, landed, cursors, settings)
    queries = ReelQueries(stores.clickhouse, settings)
    reel_cards = ReelCards(stores.postgres, stores.clickhouse, settings)
    timelines = TimelineQueries(stores.postgres, settings)
    reel_charts = ReelCharts(queries, stores.redis, counters, settings)
    post_charts = PostCharts(stores.clickhouse, stores.postgres, stores.redis, counters, settings)
    use_charts = uses_charts(stores, settings)
    similar_videos = SimilarVideos(
        stores, reel_cards, reel_charts, settings, vector_index(settings)
    )
    discovery = Discovery(stores, landed, releases, settings)
    search = Search(
        SearchQueries(stores.clickhouse, stores.postgres, settings),
        reel_cards,
        counters,
        cursors,
        settings,
    )
    reels = reels_feed(queries, reel_cards, walks, cursors, counters)
    provided: dict[str, Any] = {
        "reels": reels,
        "posts_feed": posts_feed(
            PostQueries(stores.clickhouse),
            timelines,
            post_charts.post_ids,
            walks,
            cursors,
            counters,
        ),
        "reel_charts": reel_charts,
        "post_charts": post_charts,
        "use_charts": use_charts,
        "similar_videos": similar_videos,
        "discovery": discovery,
        "search": search,
        "event_writer": EventWriter(stores.postgres, writes),
        "items": ItemWriter(writes),
        "posts": PostWriter(writes),
        "users": UserWriter(writes),
        "comments": CommentReader(stores.postgres, cursors),
        "health": HealthReader(stores),
        "stores": stores,
    }

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await stores.postgres.open()
        await stores.redis.line.start()
        await releases.start()
        await walks.start()
        try:
            yield
        finally:
            await releases.stop()
            await walks.close()
            await reel_charts.close()
            await post_charts.close()
            await use_charts.close()
            await timelines.close()
            await similar_videos.close()
            await reel_cards.close()
            await discovery.close()
            await search.close()
            await writes.close()
            await touches.close()
            await counters.close()
            await stores.close()

    app = Litestar(
        route_handlers=[
            ReelsController,
            UseChartsController,
            SimilarController,
            FeedController,
            PostChartsController,
            ReelActionsController,
            PostActionsController,
            UserController,
            EventsController,
            DiscoveryController,
            SearchController,
            HealthController,
            MetricsController,
            create_static_files_router(
                path=PAGE_ASSETS,
                directories=[page_assets()],
                opt={"exclude_from_auth": True},
                include_in_schema=False,
            ),
        ],
        dependencies={name: provide(value) for name, value in provided.items()},
        middleware=[DefineMiddleware(ChargeMiddleware, limiter=limiter)],
        exception_handlers=EXCEPTION_HANDLERS,
        on_app_init=[jwt_auth(settings, tokens).on_app_init],
        openapi_config=document_config(),
        lifespan=[lifespan],
        # Ours are configured above; Litestar's would log each crash a second time.
        logging_config=None,
        request_max_body_size=LARGEST_BODY_BYTES,
        debug=False,
    )
    app.state.stores = stores
    # Around the router, not in it: middleware of routes never sees a 404 or a 405.
    app.asgi_handler = RequestMiddleware(
        HitMiddleware(
            MethodsMiddleware(RateLimitMiddleware(app.asgi_handler, limiter, tokens)),
            {ReelsController.path: reels},
            tokens,
        )
    )
    return app


def provide(value: Any) -> Provide:
    """Return a dependency that is there already."""

    async def provided() -> Any:
        return value

    return Provide(provided, use_cache=True)
