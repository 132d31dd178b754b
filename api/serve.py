"""Serve the API with granian: several workers, one port, shut down without losing a request."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from importlib.util import find_spec

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from litestar import Litestar

from api.settings import PREFIX, Settings

BACKLOG = 1024  # connections waiting to be accepted (count)
# Requests in flight when we are told to stop have this long; store timeouts are shorter.
GRACE_SECONDS = 10


# Objects made between two looks for garbage (count), and young looks between older ones: requests
# leave hardly any cycles behind.
GARBAGE_THRESHOLDS = (20_000, 50, 50)


def create_app() -> Litestar:
    """Return the application of a worker."""
    # The parent needs none of it.
    from api.app import create_app as create_api

    app = create_api()
    calm_garbage_collector()
    return app


def calm_garbage_collector() -> None:
    """Never look again through what is there when a worker starts, and seldom through the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def serve(settings: Settings, app: str = "api.serve:create_app") -> None:
    """Serve until SIGTERM or Ctrl-C; `app` is `module:factory`. Crashed workers are restarted."""
    # Workers are processes of their own: they read the settings from the environment again, and
    # add up their metrics in a directory.
    os.environ.update(environment_of(settings))
    metrics_dir = tempfile.mkdtemp(prefix="nova-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_dir
    try:
        Granian(
            app,
            factory=True,
            interface=Interfaces.ASGI,
            address=settings.host,
            port=settings.port,
            workers=settings.workers,
            loop=Loops.uvloop if find_spec("uvloop") else Loops.asyncio,
            backlog=BACKLOG,
            log_access=False,
            log_level=LogLevels(settings.log_level),
            respawn_failed_workers=True,
            workers_kill_timeout=GRACE_SECONDS,
        ).serve()
    finally:
        shutil.rmtree(metrics_dir, ignore_errors=True)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that make another process read these settings."""
    return {
        f"{PREFIX}{name.upper()}": str(getattr(settings, name))
        for name in settings.__struct_fields__
        if getattr(settings, name) != ""
    }
