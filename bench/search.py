"""Searching: a million made-up titles, and those of the system, against reading every title."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
from msgspec import structs

from api.migrate import migrate_clickhouse
from api.search.queries import SearchQueries, Terms, behind, parameters_of
from api.search.reader import in_clickhouse
from api.search.schemas import Criteria
from api.settings import Settings
from api.snapshots.releases import ReleaseWatch
from api.snapshots.store import now_ms
from api.stack.clickhouse import ClickHouseServer
from api.stack.dbt import dbt
from api.stack.migrations import cluster_variables
from api.stack.ports import free_port
from api.stack.ranking import refresh_ranking
from api.stores import ClickHouse, Postgres
from api.surfaces.rows import rows_of, statements_in
from bench.measure import Figure, figure
from bench.registry import Benchmark, Goal, Measured, Run
from bench.results import ROOT
from bench.usage import tree_seconds

SQL = statements_in(Path(__file__).parent / "sql" / "search")

SEED = 20_261_121
VIDEOS = 1_000_000
VIDEOS_QUICK = 20_000
QUERIES = 200
READINGS = 20  # of every title (count)
PLACES = 20
TIMEOUT_MS = 60_000  # a slow query is measured, not given up
VIEWER = 1

# What the view says of the index, and what says the same of the column; it then looks at every
# video that matches, not at the newest.
WITHOUT_INDEX = {"hasAllTokens(": "hasAll(", "hasAnyTokens(": "hasAny("}
READING = {"use_skip_indexes": 0, "query_plan_direct_read_from_text_index": 0}


def measure(run: Run) -> Measured:
    """Search generated titles in a ClickHouse of their own, then those of the system."""
    videos = VIDEOS_QUICK if run.is_quick else VIDEOS
    measured = Measured()
    with generated(run.folder, videos) as (url, process):
        asyncio.run(searches(run, url, process, "generated", measured))
    here = next(
        one.process for one in run.system.processes() if one.name == "clickhouse" and one.process
    )
    asyncio.run(searches(run, run.settings.clickhouse_url, here, "here", measured))
    measured.values["generated_videos"] = videos
    return measured


@contextlib.contextmanager
def generated(folder: Path, videos: int) -> Iterator[tuple[str, psutil.Process]]:
    """Yield a ClickHouse with generated titles, ready to be searched."""
    server = ClickHouseServer(folder / "search", free_port())
    server.start()
    try:
        migrate_clickhouse(server.url, ROOT, variables=cluster_variables(""))
        with clickhouse_connect.get_client(dsn=server.url, send_receive_timeout=900) as client:
            client.command(SQL["insert_videos"], parameters={"videos": videos})
            client.command("optimize table raw.video_documents final")
        built = dbt(
            ["build", "--quiet", "--exclude-resource-type", "unit_test"],
            server.url,
            target_path=folder / "search-dbt",
        )
        if built.returncode:
            raise RuntimeError("the models could not be built")
        refresh_ranking(server.url, 600)
        process = server.process
        if process is None:
            raise RuntimeError("ClickHouse has ended")
        yield server.url, process
    finally:
        server.stop()


async def searches(
    run: Run, url: str, process: psutil.Process, name: str, measured: Measured
) -> None:
    """Add the figures of one catalogue."""
    settings = structs.replace(run.settings, clickhouse_url=url, clickhouse_timeout_ms=TIMEOUT_MS)
    clickhouse, postgres = ClickHouse(settings), Postgres(settings)
    releases = ReleaseWatch(clickhouse)
    await releases.start()
    try:
        queries = SearchQueries(clickhouse, postgres, settings)
        titles = await clickhouse.query(SQL["sample_titles"], {"titles": QUERIES})
        asked = made_of([str(row["title"]) for row in rows_of(titles)])
        if not asked:
            measured.notes.append(f"{name}: no video has a title")
            return
        for query in asked[:5]:
            await one(queries, query)
        latencies, began, used = [], time.perf_counter(), tree_seconds(process)
        found: dict[str, list[int]] = {}
        for query in asked[: run.count(QUERIES)]:
            sent = time.perf_counter()
            found[query] = await one(queries, query)
            latencies.append((time.perf_counter() - sent) * 1000)
        seconds = time.perf_counter() - began
        cpu_ms = (tree_seconds(process) - used) * 1000 / len(latencies)
        told = figure(f"search-{name}", "one client", latencies, seconds=seconds, clients=1)
        read = await readings(settings, queries, asked, found, name)
        measured.figures += [told, read[0]]
        measured.values |= {
            f"{name}_p95_ms": told.p95_ms,
            f"{name}_cpu_ms": round(cpu_ms, 1),
            f"{name}_reading_p95_ms": read[0].p95_ms,
            f"{name}_same_rate": round(read[1], 3),
        }
        measured.details = {**(measured.details or {}), name: await plan(settings, queries, asked)}
    finally:
        await releases.stop()
        await queries.close()
        await postgres.close()
        await clickhouse.close()


def made_of(titles: Sequence[str]) -> list[str]:
    """Return queries of one to three words of each title; every fourth misspelled."""
    dice = random.Random(SEED)  # noqa: S311
    queries = []
    for number, title in enumerate(titles):
        words = title.split()
        at = dice.randrange(len(words))
        query = " ".join(words[at : at + 1 + dice.randrange(3)])[:200]
        if number % 4 == 3 and len(query) > 5:
            cut = dice.randrange(1, len(query) - 1)
            query = query[:cut] + query[cut + 1 :]
        queries.append(query)
    return queries


async def one(queries: SearchQueries, query: str) -> list[int]:
    """Search as a first page does; returns the videos, best first."""
    answer = await in_clickhouse(queries, Criteria(query), VIEWER, now_ms(), None, PLACES)
    return [found.video_id for found in answer.found]


async def readings(
    settings: Settings,
    queries: SearchQueries,
    asked: Sequence[str],
    found: Mapping[str, Sequence[int]],
    name: str,
) -> tuple[Figure, float]:
    """
    Answer some of the queries by reading and scoring every video that has one of the words.

    Returns their figure, and which part of their best the search has found, where the query was
    not corrected.
    """
    latencies, same, began = [], [], time.perf_counter()
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        sql = without_index(client)
        for query in asked[:READINGS]:
            terms = await queries.terms(query, "", is_relaxed=True)
            if not terms.asked_tokens:
                continue
            sent = time.perf_counter()
            rows = client.query(
                sql,
                parameters=parameters(structs.replace(terms, scarce_tokens=terms.asked_tokens)),
                settings={"max_threads": 1, **READING},
            ).result_rows
            latencies.append((time.perf_counter() - sent) * 1000)
            if rows and query in found:
                best = {row[0] for row in rows}
                same.append(len(best & set(found[query])) / len(best))
    return (
        figure(
            f"reading-{name}",
            "the same query, reading every title",
            latencies,
            seconds=time.perf_counter() - began,
            clients=1,
        ),
        sum(same) / len(same) if same else 0.0,
    )


def view_text(client: Any) -> str:
    """Return what the serving view says."""
    rows = client.query(
        "select as_select from system.tables where database = 'nova' and name = 'search__reels'"
    ).result_rows
    return str(rows[0][0])


def without_index(client: Any) -> str:
    """Return what the serving view says, of the column instead of its index, and without a cap."""
    text = view_text(client)
    for with_index, without in WITHOUT_INDEX.items():
        if with_index not in text:
            raise RuntimeError(f"the view does not say {with_index}")
        text = text.replace(with_index, without)
    before, limit, after = text.rpartition("LIMIT ")
    if not limit:
        raise RuntimeError("the view has no cap")
    uncapped = f"{before}LIMIT 1000000000 {after.lstrip('0123456789')}"
    best = f"order by relevance_ppm desc, published_at desc, video_id desc limit {PLACES}"
    return f"select video_id from ({uncapped}) {best}"  # noqa: S608


def parameters(terms: Terms) -> dict[str, Any]:
    """Return arguments of the serving view, of any video."""
    return {
        **parameters_of(terms),
        "viewer_id": VIEWER,
        "creator_ids": [],
        "categories": [],
        "published_from": "1970-01-01 00:00:00",
        "published_until": behind(None)["below_at"].strftime("%Y-%m-%d %H:%M:%S"),
    }


async def plan(settings: Settings, queries: SearchQueries, asked: Sequence[str]) -> list[str]:
    """Return how ClickHouse carries one of the queries out."""
    query = max(asked, key=len)
    terms = await queries.terms(query, "", is_relaxed=False)
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        sql = f"explain indexes = 1 {view_text(client)}"
        rows = client.query(sql, parameters=parameters(terms)).result_rows
    return [query, *(str(row[0]) for row in rows)]


BENCHMARKS = (
    Benchmark(
        "search",
        "words of titles, one to three, every fourth misspelled: 1,000,000 made-up titles, and "
        "those that are here",
        "the same score of every video that has one of the words, without the index",
        measure,
        needs="up",
        goals=(
            Goal("generated_p95_ms", 50, "ms"),
            Goal("here_p95_ms", 50, "ms"),
        ),
        limit_seconds=1_200,
        is_apart=True,
    ),
)
