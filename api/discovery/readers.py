"""The kinds of lists there are."""

from __future__ import annotations

from api.discovery.queries import DiscoveryQueries
from api.discovery.reader import Kind, ListReader
from api.reels.addresses import Addresses
from api.settings import Settings
from api.snapshots.landed import LandedWatch
from api.snapshots.releases import ReleaseWatch
from api.stores import Stores

PREVIEWS = 3  # videos of a creator (count)


class Discovery:
    """Suggested users, and creators to discover."""

    def __init__(
        self, stores: Stores, landed: LandedWatch, releases: ReleaseWatch, settings: Settings
    ) -> None:
        self._queries = DiscoveryQueries(stores.clickhouse, stores.postgres, settings)
        self.addresses = Addresses(settings)
        self.users, self.creators = (
            ListReader(kind, self._queries, stores.redis, landed, releases, settings)
            for kind in (
                Kind(
                    "suggested_users",
                    chart="users",
                    fresh_seconds=settings.suggested_users_fresh_seconds,
                    is_found_by_followees=True,
                ),
                Kind(
                    "creators",
                    chart="creators",
                    fresh_seconds=settings.creators_fresh_seconds,
                    previews=PREVIEWS,
                ),
            )
        )

    async def close(self) -> None:
        """Let what is under way finish."""
        await self.users.close()
        await self.creators.close()
        await self._queries.close()
