"""Clients that report events over HTTP, and send a batch again until it is acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.traffic import Batch

PATH = "/api/v1/events"
ACCEPTED = 202
NO_ANSWER = 0

REQUEST_SECONDS = 10.0
PAUSE_SECONDS = 0.01  # between two batches of a sender
RETRY_SECONDS = 0.05
GIVE_UP_SECONDS = 90.0


class Attempt(Struct, frozen=True):
    """One request: when (seconds of one clock), of which batch, and its answer."""

    batch: int
    began_at: float
    ended_at: float
    status: int
    received: int
    deduped: int


class Senders:
    """Several clients, each with one connection, taking turns at a list of batches."""

    def __init__(
        self, port: int, batches: Sequence[Batch], token_of: Callable[[int], str], count: int
    ) -> None:
        self.batches = batches
        self.attempts: list[Attempt] = []
        self.failures: list[Exception] = []
        self._port = port
        self._tokens = {batch.viewer_id: token_of(batch.viewer_id) for batch in batches}
        self._next = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._in_flight = 0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    # ---------- from outside

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Begin no new batch, and wait until those under way are acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(GIVE_UP_SECONDS + 2 * REQUEST_SECONDS)
            assert not thread.is_alive()
        assert self.failures == []

    def wait_for(self, what: Callable[[], bool], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert self.failures == []
            assert time.monotonic() < deadline, self.summary()
            time.sleep(0.001)

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered (count)."""
        return self._in_flight

    def acknowledged(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.status == ACCEPTED]

    def failed_at(self, moment: float) -> list[Attempt]:
        """Requests that were under way at a moment and came to nothing."""
        return [
            attempt
            for attempt in self.attempts
            if attempt.began_at < moment < attempt.ended_at and attempt.status != ACCEPTED
        ]

    def sent_keys(self) -> set[int]:
        return {key for attempt in self.attempts for key in self.batches[attempt.batch].keys}

    def acknowledged_keys(self) -> set[int]:
        return {key for attempt in self.acknowledged() for key in self.batches[attempt.batch].keys}

    def summary(self) -> str:
        answers = Counter(attempt.status for attempt in self.attempts)
        return f"{len({a.batch for a in self.attempts})} batches, answers {dict(answers)}"

    # ---------- each sender

    def _run(self) -> None:
        connection = self._connect()
        try:
            while not self._stop.is_set():
                with self._lock:
                    number, self._next = self._next, (self._next + 1) % len(self.batches)
                self._deliver(connection, number)
                time.sleep(PAUSE_SECONDS)
        except Exception as exc:
            self.failures.append(exc)
        finally:
            connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, number: int) -> None:
        batch = self.batches[number]
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            attempt = self._attempt(connection, number, batch)
            self.attempts.append(attempt)
            if attempt.status == ACCEPTED:
                return
            # What a client must not be told while a store restarts: that its input is wrong.
            assert attempt.status in (NO_ANSWER, 503), attempt.status
            assert time.monotonic() < deadline, "never acknowledged"
            time.sleep(RETRY_SECONDS)

    def _attempt(
        self, connection: http.client.HTTPConnection, number: int, batch: Batch
    ) -> Attempt:
        status, body = NO_ANSWER, b"{}"
        headers = {
            "Authorization": f"Bearer {self._tokens[batch.viewer_id]}",
            "Content-Type": "application/json",
        }
        with self._lock:
            self._in_flight += 1
        began_at = time.monotonic()
        try:
            connection.request("POST", PATH, batch.body, headers)
            answer = connection.getresponse()
            body = answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it anew
        finally:
            ended_at = time.monotonic()
            with self._lock:
                self._in_flight -= 1
        said = json.loads(body) if status == ACCEPTED else {}
        return Attempt(
            number, began_at, ended_at, status, said.get("received", 0), said.get("deduped", 0)
        )

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_SECONDS)
