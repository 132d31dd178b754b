"""What Postgres is asked, by the name of the file, and what the API calls its fields."""

from __future__ import annotations

from pathlib import Path

from api.writes import NAMES

SQL = {path.stem: path.read_text() for path in (Path(__file__).parent / "sql").glob("*.sql")}

WATCH_NAMES = NAMES | {"completion": "completion_percent"}
# In an address an item is `item_id` and a user `user_id`, whatever they are to each other.
ITEM_NAMES = WATCH_NAMES | {"video_id": "item_id", "post_id": "item_id"}
USER_NAMES = NAMES | {"followee_id": "user_id", "blocked_id": "user_id"}
