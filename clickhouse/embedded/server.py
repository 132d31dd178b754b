"""Listens, gives every client connection a thread, and stops cleanly."""

from __future__ import annotations

import socket
import sys
import threading
import traceback
from contextlib import suppress

from clickhouse.embedded.admission import Admission
from clickhouse.embedded.engine import Engine
from clickhouse.embedded.handler import Handler
from clickhouse.embedded.protocol import (
    BadRequestError,
    ClientGoneError,
    HttpConnection,
    Request,
    response_head,
)
from clickhouse.embedded.running import Running

# Long, because a client that reuses a connection just as it is closed has to try again (seconds).
_IDLE_SECONDS = 600.0
# A client that neither reads nor writes for so long is given up (seconds).
_IO_SECONDS = 300.0
_MAX_CONNECTIONS = 1_024
# How long a killed statement may take to notice (seconds).
_AFTER_KILL_SECONDS = 2.0
_STACK_BYTES = 16 << 20
_OK = b"Ok.\n"


class Server:
    """An HTTP server over one engine."""

    def __init__(
        self,
        engine: Engine,
        host: str,
        port: int,
        *,
        password: str,
        running_max: int,
        waiting_max: int,
        wait_seconds: float,
    ) -> None:
        self._engine = engine
        self._admission = Admission(running_max, waiting_max, wait_seconds)
        self._running = Running(engine)
        self._handler = Handler(engine, self._admission, self._running, password)
        self._stopping = threading.Event()
        self._connections: set[HttpConnection] = set()
        self._idle: set[HttpConnection] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    def start(self) -> None:
        """Accept connections until `stop`."""
        threading.stack_size(_STACK_BYTES)
        threading.Thread(target=self._accept, name="accept", daemon=True).start()
        threading.Thread(target=self._expire_sessions, name="sessions", daemon=True).start()

    def stop(self, grace_seconds: float) -> None:
        """
        Stop accepting, let running statements finish, kill what is left, close everything.

        Requests that wait for a place are refused at once.
        """
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._admission.close()
        with self._lock:
            for connection in self._idle:
                _hang_up(connection.sock, socket.SHUT_RD)
        if not self._admission.wait_until_idle(grace_seconds):
            self._running.kill_all()
            self._hang_up_all(socket.SHUT_RD)
            if not self._admission.wait_until_idle(_AFTER_KILL_SECONDS):
                # Those left wait for a client that does not read.
                self._hang_up_all(socket.SHUT_RDWR)
                self._admission.wait_until_idle(_AFTER_KILL_SECONDS)
        self._running.close()
        self._hang_up_all(socket.SHUT_RD)
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout=2)
        self._handler.sessions.close()
        self._handler.pool.close()

    def _hang_up_all(self, how: int) -> None:
        with self._lock:
            for connection in self._connections:
                _hang_up(connection.sock, how)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                # Out of file descriptors or the like: wait for some to be closed.
                self._stopping.wait(0.05)
                continue
            if len(self._threads) >= _MAX_CONNECTIONS:
                sock.close()
                continue
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        connection = HttpConnection(sock, idle_seconds=_IDLE_SECONDS, io_seconds=_IO_SECONDS)
        with self._lock:
            self._connections.add(connection)
        try:
            while self._serve_one(connection):
                pass
        except ClientGoneError:
            pass
        except BadRequestError:
            with suppress(ClientGoneError):
                connection.send(response_head(400, {"Connection": "Close", "Content-Length": "0"}))
        except Exception:
            # A fault of ours must not take the server down, and must be seen.
            traceback.print_exc(file=sys.stderr)
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._idle.discard(connection)
                self._threads.discard(threading.current_thread())
            _hang_up(sock, socket.SHUT_WR)
            sock.close()

    def _serve_one(self, connection: HttpConnection) -> bool:
        with self._lock:
            if self._stopping.is_set():
                return False
            self._idle.add(connection)
        request = connection.read_request()
        with self._lock:
            self._idle.discard(connection)
        if request is None:
            return False
        usable = self._route(connection, request)
        # Read to the end even if the connection closes after it: see _DRAIN_BYTES.
        return connection.drain_body() and usable and request.keep_alive

    def _route(self, connection: HttpConnection, request: Request) -> bool:
        path = request.path
        if path in ("/ping", "/replicas_status") or (
            path == "/" and request.method in ("GET", "HEAD") and not request.query_string
        ):
            _send(connection, request, 200, _OK)
            return True
        if path in ("/", "/query", "/query/"):
            if request.method in ("GET", "HEAD", "POST", "PUT"):
                return self._handler.handle(connection, request)
            _send(connection, request, 501, b"Only GET, HEAD, POST and PUT are supported\n")
            return True
        _send(connection, request, 404, f"There is no handle {path}\n".encode())
        return True

    def _expire_sessions(self) -> None:
        while not self._stopping.wait(1):
            self._handler.sessions.expire()


def _send(connection: HttpConnection, request: Request, status: int, body: bytes) -> None:
    head = response_head(
        status,
        {
            "Content-Type": "text/html; charset=UTF-8",
            "Connection": "Keep-Alive" if request.keep_alive else "Close",
            "Content-Length": str(len(body)),
        },
    )
    connection.send(head if request.method == "HEAD" else head + body)


def _hang_up(sock: socket.socket, how: int) -> None:
    with suppress(OSError):
        sock.shutdown(how)
