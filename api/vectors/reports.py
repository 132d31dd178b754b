"""How far the copy in a vector database is: in Redis, where its worker goes on from."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

# Redis hash: a report as JSON per version. It stays: the next worker goes on from there.
REPORT_KEY = "nova:mirroring"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MirrorReport(Struct):
    """
    How far the embeddings of one version are copied: all computed up to `until`.

    `copied` counts videos and `failures` errors of the vector database, of all workers since Redis
    forgot.
    """

    until: datetime = EPOCH
    copied: int = 0
    failures: int = 0
