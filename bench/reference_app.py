"""
What a hit is measured against: a bare ASGI handler that gets one value from Redis and returns it.

`python -m bench.reference_app` serves it as the API is served: the same settings, workers and
client of Redis. Whoever measures puts a page of the API under `PAGE_KEY` first.
"""

from __future__ import annotations

from typing import Any

from api.serve import calm_garbage_collector, serve
from api.settings import Settings
from api.stores import RedisStore

PAGE_KEY = "bench:reference:page"


class ReferenceApp:
    """Answers every request with the page, 404 when there is none."""

    def __init__(self, settings: Settings) -> None:
        self._store = RedisStore(settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await self._store.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        page = await self._store.client.get(PAGE_KEY) or b""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(page)),
        ]
        status = 200 if page else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": page})


def create_app() -> ReferenceApp:
    """Return the application; settings are read from the environment."""
    app = ReferenceApp(Settings.from_environ())
    calm_garbage_collector()
    return app


if __name__ == "__main__":
    serve(Settings.from_environ(), "bench.reference_app:create_app")
