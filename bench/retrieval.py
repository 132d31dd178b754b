"""
Does deep recall find what viewers will watch long? On KuaiRand's days that were not imported.

`./nova import kuairand DIR --until DATE --shift-to-now` into an empty system, a refresh of
embeddings, then `python -m bench.retrieval DIR DATE`. For each viewer who watched something long
on a later day that they had not been shown before: which part of that is among the first 50, of all
videos, that a method would show them, without those they were shown before.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import clickhouse_connect
import typer
from clickhouse_connect.driver.client import Client
from rich.table import Table

from api.cli.console import DEFAULT_DATA_DIR, DataDir, out
from api.stack.system import System
from api.surfaces.rows import instant, statements_in

SQL = statements_in(Path(__file__).parent / "sql" / "retrieval")
FIRST_ID = 1_000_000_000  # of KuaiRand's viewers and of its videos here
TOGETHER = 64  # viewers of a statement (count)
TOP = 50
TIMEOUT_SECONDS = 300

Lists = Mapping[int, Sequence[int]]


def held_out(directory: Path, until: date) -> dict[int, set[int]]:
    """Return what viewers watched long after a day, from the log itself."""
    found: dict[int, set[int]] = defaultdict(set)
    for path in directory.glob("log_standard_*.csv"):
        with path.open() as file:
            for row in csv.DictReader(file):
                day = datetime.fromtimestamp(int(row["time_ms"]) / 1000, UTC).date()
                if day > until and row["long_view"] == "1":
                    found[FIRST_ID + int(row["user_id"])].add(FIRST_ID + int(row["video_id"]))
    return found


def recall(wanted: Lists | Mapping[int, set[int]], lists: Lists, most: int | None) -> float:
    """Return the part of what was wanted that is in the lists, on average over viewers."""
    parts = [
        len(set(videos) & set(lists.get(viewer, ())[:most])) / len(videos)
        for viewer, videos in wanted.items()
    ]
    return sum(parts) / len(parts)


def both(*lists: Lists) -> dict[int, list[int]]:
    """Return lists one behind the other, each video once."""
    return {
        viewer: list(dict.fromkeys(video for one in lists for video in one.get(viewer, ())))
        for viewer in set().union(*lists)
    }


def in_parts(viewers: Sequence[int]) -> Iterable[list[int]]:
    """Yield viewers, some at a time."""
    for start in range(0, len(viewers), TOGETHER):
        yield list(viewers[start : start + TOGETHER])


def lists_of(client: Client, statement: str, viewers: Sequence[int]) -> dict[int, list[int]]:
    """Return the lists a statement has for viewers."""
    return dict(client.query(SQL[statement], parameters={"viewers": viewers}).result_rows)


def ranked_lists(client: Client, viewers: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
    """Return the feeds of viewers, as (video, source)."""
    found = {}
    for some in in_parts(viewers):
        rows = client.query(
            SQL["candidates"],
            parameters={
                "viewers": some,
                "as_of": instant(datetime.now(UTC)),
                "variants": ["default"] * len(some),
                "shown": [[]] * len(some),
            },
        ).result_rows
        found |= {
            viewer: list(zip(videos, sources, strict=True)) for viewer, videos, sources in rows
        }
    return found


def main(
    directory: Annotated[Path, typer.Argument(help="KuaiRand's files.")],
    until: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Last day imported.")],
    viewers_max: Annotated[int, typer.Option("--viewers", help="Viewers, drawn evenly.")] = 1000,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print recall of methods and of the candidates, with deep recall and without."""
    url = System(data_dir).settings_to_use("clickhouse").clickhouse_url
    wanted = held_out(directory, until.date())
    with clickhouse_connect.get_client(
        dsn=url, autogenerate_session_id=False, send_receive_timeout=TIMEOUT_SECONDS
    ) as client:
        seen = lists_of(client, "seen", sorted(wanted))
        news = {viewer: videos - set(seen.get(viewer, ())) for viewer, videos in wanted.items()}
        known = sorted(viewer for viewer, videos in news.items() if videos)
        # The same ones every time.
        viewers = random.Random(1).sample(known, min(viewers_max, len(known)))  # noqa: S311
        wanted = {viewer: news[viewer] for viewer in viewers}
        ((popular,),) = client.query(SQL["popularity"]).result_rows
        popularity = {
            viewer: [video for video in popular if video not in set(seen.get(viewer, ()))]
            for viewer in viewers
        }
        ((charted,),) = client.query(SQL["chart"]).result_rows
        # The days held out are over: at the cut this was the day's chart.
        chart = {
            viewer: [video for video in charted if video not in set(seen.get(viewer, ()))]
            for viewer in viewers
        }
        cosine = {
            viewer: [video for video in videos if video not in set(seen.get(viewer, ()))]
            for viewer, videos in lists_of(client, "item_cosine", viewers).items()
        }
        feeds = ranked_lists(client, viewers)

    def of(*sources: str) -> dict[int, list[int]]:
        return {
            viewer: [video for video, source in feed if source in sources]
            for viewer, feed in feeds.items()
        }

    without = both(of("followee"), chart, of("affinity"))
    whole = both(without, of("deep_recall"))
    # As many of the most popular as each viewer has candidates.
    as_many = {viewer: popularity[viewer][: len(whole.get(viewer, ()))] for viewer in viewers}
    table = Table("method", f"recall@{TOP}", "recall of the set", "videos of the set")
    for name, lists in (
        ("popularity", popularity),
        ("popularity, as many as candidates", as_many),
        ("item-item cosine", cosine),
        ("candidates without deep recall", without),
        ("deep recall alone", of("deep_recall")),
        ("candidates with deep recall", whole),
        ("the feed, fills and all", {v: [one for one, _ in feed] for v, feed in feeds.items()}),
    ):
        size = sum(len(lists.get(viewer, ())) for viewer in viewers) / len(viewers)
        table.add_row(
            name,
            f"{recall(wanted, lists, TOP):.3f}",
            f"{recall(wanted, lists, None):.3f}",
            f"{size:.0f}",
        )
    out.print(f"{len(viewers)} viewers, {sum(map(len, wanted.values()))} videos watched long")
    out.print(table)


if __name__ == "__main__":
    typer.run(main)
