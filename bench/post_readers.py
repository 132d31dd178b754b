"""Clients that read the posts feed page by page, one viewer after the other, and keep it all."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct

PATH = "/api/v1/feed"
NO_ANSWER = 0

REQUEST_SECONDS = 30.0
# A person at each client. A walk is longer than a ranking: it goes on into a second one.
WALK_PAGES = 24
PAGE_POSTS = 20
PAUSE_SECONDS = 1.0
BEGIN_SECONDS = 10.0  # all clients have begun by then


class Meta(Struct, frozen=True):
    """What a page says of how it came about."""

    algo: str
    fallback: bool
    degraded: str
    as_of: datetime
    total_count: int

    @property
    def is_ranked(self) -> bool:
        """Say whether it is what was asked for."""
        return (self.algo, self.fallback) == ("ch", False)

    @property
    def is_timeline(self) -> bool:
        """Say whether it came from Postgres instead, and is called so."""
        return (self.algo, self.fallback, self.degraded) == ("timeline", True, "timeline")


class Body(Struct, frozen=True):
    """A page, its posts left as they are."""

    data: Raw
    next_cursor: str | None
    meta: Meta


class Page(Struct, frozen=True):
    """One request and its answer (seconds of one clock); `body` is None unless it is a page."""

    viewer_id: int
    is_first: bool
    began_at: float
    ended_at: float
    status: int
    body: Body | None

    @property
    def is_ranked(self) -> bool:
        """Say whether it is what was asked for."""
        return self.body is not None and self.body.meta.is_ranked

    @property
    def is_timeline(self) -> bool:
        """Say whether it came from Postgres instead, and is called so."""
        return self.body is not None and self.body.meta.is_timeline

    @property
    def latency_ms(self) -> float:
        """Time from the request to the whole answer (milliseconds)."""
        return (self.ended_at - self.began_at) * 1000


class PostReaders:
    """So many clients, each with a connection and with viewers of its own."""

    def __init__(
        self, base_url: str, viewers: Sequence[int], token_of: Callable[[int], str], clients: int
    ) -> None:
        self.walks: list[list[Page]] = []
        self.failures: list[Exception] = []
        self._address = urlsplit(base_url).netloc
        self._token_of = token_of
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(viewers[n::clients], n / clients), daemon=True)
            for n in range(clients)
        ]

    # ---------- from outside

    def __enter__(self) -> PostReaders:
        """Begin to read."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask for no further page; raises what went wrong in a client."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * REQUEST_SECONDS)
        for failure in self.failures:
            raise failure

    def wait_for(self, what: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds; raises `TimeoutError` when it does not in time."""
        deadline = time.monotonic() + seconds
        while not what():
            for failure in self.failures:
                raise failure
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:.0f} s: {self.summary()}")
            time.sleep(0.05)

    def pages(self, since: float = 0.0, until: float = float("inf")) -> list[Page]:
        """Return requests that began and ended between two moments, as they were answered."""
        found = [
            page
            for walk in list(self.walks)
            for page in list(walk)
            if since < page.began_at and page.ended_at < until
        ]
        return sorted(found, key=lambda page: page.ended_at)

    def first_pages(self, since: float = 0.0, until: float = float("inf")) -> list[Page]:
        """Return those of them that were asked for without a cursor."""
        return [page for page in self.pages(since, until) if page.is_first]

    def is_ranked_again(self, since: float, pages: int) -> bool:
        """Say whether the last first pages, so many of them since a moment, were all ranked."""
        last = self.first_pages(since)[-pages:]
        return len(last) == pages and all(page.is_ranked for page in last)

    def summary(self) -> str:
        """Say how much was read, and which kinds of answers there were."""
        pages = self.pages()
        kinds = {
            f"{page.status} {page.body.meta.algo} {page.body.meta.degraded}"
            if page.body
            else f"{page.status}"
            for page in pages
        }
        return f"{len(self.walks)} walks, {len(pages)} pages: {', '.join(sorted(kinds))}"

    # ---------- each client

    def _run(self, viewers: Sequence[int], offset: float) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=REQUEST_SECONDS)
        try:
            # Not all at once: walks begin at any time.
            self._stop.wait(offset * BEGIN_SECONDS)
            turn = 0
            while not self._stop.is_set():
                self._walk(connection, viewers[turn % len(viewers)])
                turn += 1
        except Exception as exc:
            self.failures.append(exc)
        finally:
            connection.close()

    def _walk(self, connection: http.client.HTTPConnection, viewer_id: int) -> None:
        token = self._token_of(viewer_id)
        walk: list[Page] = []
        self.walks.append(walk)
        cursor: str | None = None
        while len(walk) < WALK_PAGES and not self._stop.is_set():
            page = ask(connection, viewer_id, token, cursor)
            walk.append(page)
            self._stop.wait(PAUSE_SECONDS)
            cursor = page.body.next_cursor if page.body else None
            if cursor is None:
                return


def ask(
    connection: http.client.HTTPConnection, viewer_id: int, token: str, cursor: str | None
) -> Page:
    """Ask for a page; never raises for what a server may do."""
    path = f"{PATH}?limit={PAGE_POSTS}" + (f"&cursor={cursor}" if cursor else "")
    status, content = NO_ANSWER, b""
    began_at = time.monotonic()
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()  # the next request opens it anew
    ended_at = time.monotonic()
    body = msgspec.json.decode(content, type=Body) if status == http.HTTPStatus.OK else None
    return Page(viewer_id, cursor is None, began_at, ended_at, status, body)
