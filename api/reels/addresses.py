"""Where a client finds the pictures and streams of videos."""

from __future__ import annotations

from api.settings import Settings


class Addresses:
    """Absolute addresses; stored ones may be relative to the media server."""

    def __init__(self, settings: Settings) -> None:
        self._stream_url = f"{settings.public_base_url.rstrip('/')}/api/v1/reels/stream/"
        self._media_url = settings.media_base_url.rstrip("/") + "/"

    def stream(self, video_id: int) -> str:
        """Return the address of a video's stream."""
        return f"{self._stream_url}{video_id}"

    def media(self, address: str) -> str | None:
        """Return the address of a picture; None when there is none."""
        if not address:
            return None
        if address.startswith(("http://", "https://")):
            return address
        return self._media_url + address.lstrip("/")
