"""Programs that run beside the API."""

from __future__ import annotations

from msgspec import Struct

# Redis key: the transaction number up to which everything is in ClickHouse, in decimal. The landing
# worker writes it, who must read their own write waits for it.
LANDED_KEY = "nova:landed"

# Redis key: the transaction number up to which what ranks was made of what has landed, in decimal.
# The refreshing worker writes it; a ranking of posts has no newer ones. It ends when nobody tells:
# then only ClickHouse's own schedule can be counted on.
REFRESHED_KEY = "nova:refreshed"
REFRESHED_KEPT_SECONDS = 30

# Redis channel: rows have landed (`LandedRows` as JSON); said once per round of windows. The
# refreshing worker listens.
LANDED_ROWS_CHANNEL = "nova:landed:rows"


class LandedRows(Struct, frozen=True):
    """
    Word of a landing: what up to transaction `txid` has landed is in `tables`, or was told before.

    Tables whose word could not be sent are in the next one; in a worker's first, every table.
    """

    txid: int
    tables: list[str]
