"""What tests of charts do to those in Redis."""

from __future__ import annotations

import msgspec
import redis

from api.charts.reader import Chart
from api.settings import Settings


def age_charts(settings: Settings, surface: str, seconds: float) -> None:
    """Have the charts in Redis be read so much earlier."""
    with redis.Redis.from_url(settings.redis_url) as client:
        for key in client.scan_iter(f"hot:{surface}:*"):
            packed = client.get(key)
            if packed is not None:
                chart = msgspec.msgpack.decode(packed, type=Chart)  # type: ignore[arg-type]
                older = msgspec.structs.replace(
                    chart,
                    read_at_ms=chart.read_at_ms - round(seconds * 1000),
                    as_of_ms=chart.as_of_ms - round(seconds * 1000),
                )
                client.set(key, msgspec.msgpack.encode(older))
