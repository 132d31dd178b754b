"""A file in the shape of Hacker News' stories, as dense and as unequal as the real one."""

from __future__ import annotations

import random
from pathlib import Path

HEADER = '"author_id","id","time","score","descendants","title"'
AUTHOR = 3_000_000_000  # app.import_id('hackernews.author', 0)
POST = 3_000_000_000

NEWEST = 1_605_490_418  # seconds; --shift-to-now moves it to the present
# As in 2020: a hundred stories a day, of which most authors wrote one.
STORIES_PER_DAY = 100
DAYS = 32
AUTHORS = 1_500


def write_stories(path: Path, *, seed: int = 1) -> Path:
    """Write some 3,200 stories, 200 of them older than what feeds call recent."""
    chance = random.Random(seed)
    prolific = [1 / place**0.6 for place in range(1, AUTHORS + 1)]
    count = STORIES_PER_DAY * DAYS
    authors = chance.choices(range(1, AUTHORS + 1), prolific, k=count)
    lines = [HEADER]
    for number, author in enumerate(authors):
        at = NEWEST - number * 86_400 // STORIES_PER_DAY
        score = 40 + int(chance.paretovariate(0.9) * 10) % 4_000
        lines.append(f'{author},{count - number},{at},{score},{score // 2},"Story ""{number}"""')
    path.write_text("\n".join([*lines, ""]))
    return path
