"""What the embedding worker says of itself: in Redis, for `./nova status` and for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

# Redis hash: a report as JSON per version. It ends soon after the worker that wrote it.
REPORT_KEY = "nova:embedding"
REPORT_KEPT_SECONDS = 60


class EmbeddingReport(Struct):
    """
    What became of the videos of one version since the worker began.

    `stored` videos have an embedding; `batches` counts questions to the server by outcome,
    `answered` or what was wrong; `refused` counts vectors of answered batches by what was wrong
    with them. `left` are videos that the last walk had to leave; `is_open` says that the server is
    left alone.
    """

    stored: int = 0
    batches: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    left: int = 0
    is_open: bool = False

    def count_batch(self, outcome: str) -> None:
        """Count one question to the server."""
        self.batches[outcome] = self.batches.get(outcome, 0) + 1

    def count_refused(self, reasons: Iterable[str]) -> None:
        """Count vectors that were not taken."""
        self.refused = dict(Counter(self.refused) + Counter(reasons))
