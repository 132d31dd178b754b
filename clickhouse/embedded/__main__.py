"""Start the embedded ClickHouse: `python -m clickhouse.embedded --data-dir DIR`."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import sys
import threading
from pathlib import Path

from clickhouse.embedded.engine import DataDirectoryInUseError, Engine
from clickhouse.embedded.errors import ClickHouseError
from clickhouse.embedded.server import Server

# Beyond the grace period: killing what runs, hanging up on clients, closing the engine.
_STOP_SECONDS = 15.0

_PASSWORD_VARIABLE = "NOVA_EMBEDDED_CLICKHOUSE_PASSWORD"  # noqa: S105


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop."""
    options = _parser().parse_args(arguments)
    password = os.environ.get(_PASSWORD_VARIABLE, "")
    if not password and not _is_loopback(options.host):
        return _complain(
            f"{options.host} can be reached from other machines: "
            f"set {_PASSWORD_VARIABLE}, or listen on 127.0.0.1"
        )
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    try:
        engine = Engine(options.data_dir)
    except (DataDirectoryInUseError, ClickHouseError, OSError) as exc:
        return _complain(str(exc))
    try:
        try:
            server = Server(
                engine,
                options.host,
                options.port,
                password=password,
                running_max=options.max_concurrency,
                waiting_max=options.max_waiting,
                wait_seconds=options.wait_seconds,
            )
        except OSError as exc:
            return _complain(f"cannot listen on {options.host}:{options.port}: {exc.strerror}")
        # The engine may have set handlers of its own while it started.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        server.start()
        print(
            f"ClickHouse {engine.version} (embedded) listens on "
            f"http://{server.address[0]}:{server.address[1]}/, data in {engine.data_dir}",
            file=sys.stderr,
            flush=True,
        )
        # A wait without a timeout would not let Python handle the signal on every platform.
        while not stop.wait(3_600):
            pass
        end_by_force_after(options.grace_seconds + _STOP_SECONDS)
        server.stop(options.grace_seconds)
    finally:
        engine.close()
    return 0


def end_by_force_after(seconds: float) -> None:
    """
    Bound the time a stop may take, whatever the engine waits for.

    Safe at any moment: what was acknowledged is in parts on the disk, as after kill -9.
    """

    def end() -> None:
        print(
            "embedded ClickHouse: ended by force, the engine did not", file=sys.stderr, flush=True
        )
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clickhouse.embedded", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="made if it does not exist")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123, help="0 takes a free one")
    parser.add_argument(
        "--max-concurrency",
        type=int,
        default=max(8, 4 * (os.cpu_count() or 1)),
        help="statements that run at once (default: 4 per core, at least 8)",
    )
    parser.add_argument(
        "--max-waiting", type=int, default=256, help="statements that may wait for a place"
    )
    parser.add_argument(
        "--wait-seconds", type=float, default=10.0, help="how long one waits before it is refused"
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=10.0,
        help="how long running statements may go on after SIGTERM",
    )
    return parser


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _complain(message: str) -> int:
    print(f"embedded ClickHouse: {message}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
