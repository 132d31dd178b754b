"""
Feeds beside a model server that is well, slow or away: nothing a reader can tell.

In rounds of all, so that what the machine does meanwhile is everybody's. The embedding worker is
the real one; the model server is a stand-in that answers with directions by chance, on a socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

from api.cli.models import drop_embeddings
from api.settings import PREFIX
from api.stack.ports import free_port
from api.stack.process import StartError
from bench.feed import REELS, forget, reader, viewers
from bench.measure import figure
from bench.registry import Benchmark, Goal, Measured, Run

DIMENSIONS = 64
VERSION = f"bench_model_server-{DIMENSIONS}d"
ROUNDS = 4
MISSES = 40  # of one state and round (count)
BEGIN_SECONDS = 3.0  # a worker that has begun is measured, not one that loads
SLOW_SECONDS = 5.0

# No worker at all is what the others are held against.
NONE = "no worker"
STATES = (NONE, "well", "slow", "away")


class Answers(BaseHTTPRequestHandler):
    """Answers TensorFlow Serving's question with as many directions."""

    protocol_version = "HTTP/1.1"
    delay_seconds = 0.0

    def do_POST(self) -> None:
        """Answer one batch."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.delay_seconds)
        vectors = [[random.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in asked["instances"]]
        body = json.dumps({"predictions": vectors}).encode()
        with contextlib.suppress(OSError):  # it was not waited for
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class SlowAnswers(Answers):
    """The same, long after anybody waits."""

    delay_seconds = SLOW_SECONDS


@contextlib.contextmanager
def model_server(state: str) -> Iterator[str]:
    """Serve until the block ends, well or ill; yields the address."""
    if state == "away":
        yield f"http://127.0.0.1:{free_port()}"
        return
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), SlowAnswers if state == "slow" else Answers, bind_and_activate=True
    )
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def beside(run: Run, state: str) -> Iterator[None]:
    """Run the embedding worker beside the block, with a model server of this state."""
    if state == NONE:
        yield
        return
    identity = run.system.identity()
    if identity is None:
        raise StartError("nothing was started here yet; begin with `./nova up`")
    with model_server(state) as url:
        environment = run.system.environment(identity) | {f"{PREFIX}TENSORFLOW_SERVING_URL": url}
        with (run.folder / f"embedding-{state}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "api.workers.embedding"],
                env={**os.environ, **environment},
                stderr=log,
            )
        try:
            time.sleep(BEGIN_SECONDS)
            yield
        finally:
            worker.terminate()
            worker.wait(30)


@contextlib.contextmanager
def registered(run: Run) -> Iterator[None]:
    """Have a version for the model server to compute; nothing is left of it."""
    with psycopg.connect(run.settings.postgres_url, autocommit=True) as postgres:
        postgres.execute(
            "select app.register_deep_recall_model(%s, 'tensorflow_serving')", [VERSION]
        )
        try:
            yield
        finally:
            postgres.execute("select app.withdraw_deep_recall_model(%s)", [VERSION])
            drop_embeddings(run.settings, VERSION)


def measure(run: Run) -> Measured:
    """Ask for first pages that have to be ranked, in each state in turn."""
    request = reader(run.settings, REELS)
    chosen = viewers(run.settings, run.count(MISSES))
    latencies_ms: dict[str, list[float]] = {state: [] for state in STATES}
    errors = dict.fromkeys(STATES, 0)
    with registered(run):
        for _ in range(1 if run.is_quick else ROUNDS):
            for state in STATES:
                with beside(run, state):
                    forget(run.settings)
                    for viewer in chosen:
                        piece = request(viewer)
                        began = time.perf_counter()
                        errors[state] += not piece()
                        latencies_ms[state].append((time.perf_counter() - began) * 1000)
    figures = [
        figure(
            f"misses, {state}" if state == NONE else f"misses, model server {state}",
            "first page, ranked anew, through HTTP",
            latencies,
            seconds=sum(latencies) / 1000,
            clients=1,
            errors=errors[state],
        )
        for state, latencies in latencies_ms.items()
    ]
    by_state = dict(zip(STATES, figures, strict=True))
    alone = by_state[NONE]
    return Measured(
        figures,
        {
            "p95_alone_ms": alone.p95_ms,
            **{f"p95_{state}_ms": by_state[state].p95_ms for state in STATES if state != NONE},
            **{
                f"p95_{state}_rate": by_state[state].p95_ms / alone.p95_ms
                for state in STATES
                if state != NONE
            },
            "errors": sum(each.errors for each in figures),
        },
    )


BENCHMARKS = (
    Benchmark(
        "model-server",
        "reels: first pages, ranked anew, beside a model server that is well, slow or away",
        "the same pages without a model server, in turn",
        measure,
        goals=(
            Goal("p95_slow_rate", 1.2, "of the p95 without"),
            Goal("p95_away_rate", 1.2, "of the p95 without"),
            Goal("errors", 0, "errors"),
        ),
    ),
)
