"""
The whole system on one machine: which servers it needs, where they are, and their order.

What is given by address (`NOVA_POSTGRES_URL`, …) is used as it is; what is not is started here.
Ports and secrets made on the first start are kept in the data directory, and so are the variables
of the last one: `up` reads the environment, every other command asks the system that it started.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec
from dotenv import dotenv_values
from msgspec import Struct

from api.actionable import ActionableError
from api.settings import PREFIX, Settings, SettingsError
from api.stack.clickhouse import ClickHouseServer
from api.stack.ports import is_taken, preferred_port
from api.stack.postgres import PostgresServer
from api.stack.process import ManagedProcess, StartError
from api.stack.redis import RedisServer

ROOT = Path(__file__).parent.parent.parent

Store = Literal["postgres", "redis", "clickhouse"]
STORES: tuple[Store, ...] = ("postgres", "redis", "clickhouse")
PREFERRED_PORTS: Mapping[Store, int] = {"postgres": 15432, "redis": 16379, "clickhouse": 8123}

EmbeddedServer = PostgresServer | RedisServer | ClickHouseServer
KINDS: Mapping[Store, Callable[[Path, int, str], EmbeddedServer]] = {
    "postgres": PostgresServer,
    "redis": RedisServer,
    "clickhouse": ClickHouseServer,
}

WORKERS = (
    "charts",
    "embedding",
    "housekeeping",
    "landing",
    "mirroring",
    "reconciliation",
    "refreshing",
)


def wanted_workers(settings: Settings) -> list[str]:
    """Return the workers that have something to do with these settings."""
    idle = {
        "landing": settings.cdc != "pull",
        "embedding": not settings.tensorflow_serving_url,
        "mirroring": not settings.milvus_url,
    }
    return [name for name in WORKERS if not idle.get(name)]


def url_variable(store: Store) -> str:
    """Return the variable that gives the address of a store."""
    return f"{PREFIX}{store.upper()}_URL"


class AlreadyRunningError(ActionableError):
    """Another `up` holds this data directory."""


class Identity(Struct):
    """
    What the first start made up and every later one keeps; readable by its owner only.

    `variables` are the `NOVA_*` of the last `up`, addresses of stores among them.
    """

    jwt_secret: str
    cursor_secret: str
    passwords: dict[Store, str]
    ports: dict[Store, int]
    api_port: int = 8000
    variables: dict[str, str] = {}

    @classmethod
    def new(cls) -> Identity:
        """Make secrets; ports are chosen when a server starts."""
        return cls(
            jwt_secret=secrets.token_urlsafe(48),
            cursor_secret=secrets.token_urlsafe(48),
            passwords={store: secrets.token_urlsafe(24) for store in STORES},
            ports={},
        )

    def is_embedded(self, store: Store) -> bool:
        """Say whether we start this store ourselves: nobody gave its address."""
        return url_variable(store) not in self.variables


class PythonProcess(ManagedProcess):
    """One of our own programs, `python -m MODULE ARGUMENTS`, with settings in its environment."""

    def __init__(
        self, data_dir: Path, name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        super().__init__(data_dir)
        self.name = name
        self._arguments = arguments
        self._environment = environment

    def command(self) -> Sequence[str]:
        """Return the interpreter we run on, and the module."""
        return [sys.executable, "-m", *self._arguments]

    def environment(self) -> Mapping[str, str]:
        """Return the settings."""
        return self._environment

    def answers(self) -> bool:
        """A worker has no port: it is up when it runs."""
        return self.is_running()


class ApiProcess(PythonProcess):
    """The HTTP service; up when its liveness probe answers."""

    name = "api"

    def __init__(self, data_dir: Path, settings: Settings, environment: Mapping[str, str]) -> None:
        super().__init__(data_dir, self.name, ["api", "serve"], environment)
        self.host = settings.host
        self.port = settings.port

    def answers(self) -> bool:
        """Ask `/api/v1/health/live`."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        connection = http.client.HTTPConnection(host, self.port, timeout=2)
        try:
            connection.request("GET", "/api/v1/health/live")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def given_variables() -> dict[str, str]:
    """Return the `NOVA_*` variables of the environment, and of `.env` where it does not say."""
    dotenv = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value}
    return {
        name: value
        for name, value in {**dotenv, **os.environ}.items()
        if name.startswith(PREFIX) and name != f"{PREFIX}DATA_DIR"
    }


class System:
    """Servers and programs of one data directory, as the last `up` was told to run them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()

    # ---------- what is kept

    @property
    def identity_path(self) -> Path:
        """Where secrets and ports are kept."""
        return self.data_dir / "identity.json"

    def identity(self) -> Identity | None:
        """Return what the first start made, None before it."""
        try:
            return msgspec.json.decode(self.identity_path.read_bytes(), type=Identity)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as exc:
            raise StartError(
                f"{self.identity_path} is damaged; `./nova reset` starts anew"
            ) from exc

    def save_identity(self, identity: Identity) -> None:
        """Keep it, whole or not at all."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        draft = self.identity_path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(identity)))
        draft.replace(self.identity_path)

    # ---------- the pieces

    def servers(self, identity: Identity) -> dict[Store, EmbeddedServer]:
        """Return the embedded servers; ports must have been chosen."""
        return {
            store: self.server(identity, store) for store in STORES if identity.is_embedded(store)
        }

    def server(self, identity: Identity, store: Store) -> EmbeddedServer:
        """Return the server we would start for a store that nobody gave an address of."""
        port = identity.ports.get(store, PREFERRED_PORTS[store])
        return KINDS[store](self.data_dir / store, port, identity.passwords[store])

    def settings(self) -> Settings:
        """Return settings of this system, as `up` left it; raises `SettingsError` before that."""
        identity = self.identity()
        if identity is None:
            raise SettingsError("nothing was started here yet; begin with `./nova up`")
        return Settings.from_environ(self.environment(identity))

    def settings_to_use(self, *stores: Store) -> Settings:
        """
        Return the settings, to talk to these stores.

        Raises `StartError` when one of ours does not run: whoever has its port by now is a
        stranger, and must not be told its password.
        """
        settings = self.settings()
        servers = self.servers(self.identity() or Identity.new())
        for store in stores:
            if store in servers and not servers[store].is_running():
                raise StartError(f"{store} is not running; start it with `./nova up`")
        return settings

    def environment(self, identity: Identity) -> dict[str, str]:
        """Return every `NOVA_*` variable our programs get."""
        made = {
            f"{PREFIX}JWT_SECRET": identity.jwt_secret,
            f"{PREFIX}CURSOR_SECRET": identity.cursor_secret,
            f"{PREFIX}PORT": str(identity.api_port),
            f"{PREFIX}PUBLIC_BASE_URL": f"http://127.0.0.1:{identity.api_port}",
            f"{PREFIX}MEDIA_BASE_URL": f"http://127.0.0.1:{identity.api_port}/media",
            f"{PREFIX}DATA_DIR": str(self.data_dir),
        }
        for store, server in self.servers(identity).items():
            made[url_variable(store)] = server.url
        return {**made, **identity.variables}

    def programs(self, identity: Identity) -> list[PythonProcess]:
        """Return our own programs: the workers, then the service."""
        environment = self.environment(identity)
        settings = Settings.from_environ(environment)
        made = [
            PythonProcess(self.programs_dir, name, [f"api.workers.{name}"], environment)
            for name in wanted_workers(settings)
        ]
        return [*made, ApiProcess(self.programs_dir, settings, environment)]

    @property
    def programs_dir(self) -> Path:
        """Where our own programs keep their logs."""
        return self.data_dir / "programs"

    def processes(self) -> list[ManagedProcess]:
        """Return every process of this system in the order of starting."""
        identity = self.identity()
        if identity is None:
            return []
        return [*self.servers(identity).values(), *self.programs(identity)]

    def remains(self) -> list[ManagedProcess]:
        """Return all that any `up` may have left here, whatever it was told: enough to stop it."""
        identity = self.identity()
        if identity is None:
            return []
        servers = [self.server(identity, store) for store in STORES]
        names = [*WORKERS, ApiProcess.name]
        return [*servers, *(PythonProcess(self.programs_dir, name, [], {}) for name in names)]

    # ---------- one `up` at a time

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Own this data directory until the block ends; the system frees it if we are killed."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o755)  # another uid runs Postgres in here when we are root
        with self.lock_path.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise AlreadyRunningError(f"already running in {self.data_dir}") from exc
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            try:
                yield
            finally:
                self.ready_path.unlink(missing_ok=True)
                lock.truncate(0)

    @property
    def lock_path(self) -> Path:
        """File whose lock says that an `up` is running; holds its pid."""
        return self.data_dir / "up.lock"

    @property
    def ready_path(self) -> Path:
        """File that exists while the whole system serves."""
        return self.data_dir / "ready"

    def holder(self) -> int | None:
        """Return the pid of the running `up`, None when there is none."""
        try:
            with self.lock_path.open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(lock.read() or 0) or None
                return None
        except FileNotFoundError:
            return None

    # ---------- start and stop

    def choose_ports(self, identity: Identity, api_port: int | None) -> None:
        """Keep the ports of last time where they are free; raises `StartError` for the API's."""
        settings = Settings.from_environ(self.environment(identity))
        for store in STORES:
            if identity.is_embedded(store):
                identity.ports[store] = preferred_port(
                    identity.ports.get(store, PREFERRED_PORTS[store])
                )
        identity.api_port = api_port or settings.port
        identity.variables.pop(f"{PREFIX}PORT", None)
        if is_taken(identity.api_port):
            raise StartError(
                f"port {identity.api_port} is taken by another program; choose one with --port"
            )
        self.save_identity(identity)

    def start_servers(self, identity: Identity) -> None:
        """Start the embedded servers side by side; raises `StartError` of the first that fails."""
        servers = list(self.servers(identity).values())
        with ThreadPoolExecutor(max_workers=len(STORES)) as pool:
            for started in [pool.submit(server.start) for server in servers]:
                started.result()

    def stop(self, say: Callable[[str], None] = lambda _: None) -> bool:
        """Stop what runs, last started first; says whether anything did."""
        stopped = False
        for process in reversed(self.remains()):
            if process.is_running():
                say(f"stopping {process.name}")
                process.stop()
                stopped = True
            else:
                process.end_leftovers()
        return stopped

    def watch(self, say: Callable[[str], None], seconds: float = 1.0) -> None:
        """
        Keep every process running until interrupted; one that ends is started again.

        Raises `StartError` when one ends more than five times within a minute.
        """
        processes = self.processes()
        ends: dict[str, list[float]] = {process.name: [] for process in processes}
        while True:
            time.sleep(seconds)
            for process in processes:
                if process.is_running():
                    continue
                now = time.monotonic()
                recent = [*(at for at in ends[process.name] if now - at < 60), now]
                ends[process.name] = recent
                if len(recent) > 5:
                    raise StartError(f"{process.name} keeps ending:\n{process.log_tail()}")
                say(f"{process.name} ended unexpectedly; starting it again")
                try:
                    process.start()
                except StartError as exc:
                    # Such as Postgres, whose old backends need a moment to end.
                    say(f"{process.name} did not start: {str(exc).splitlines()[0]}")
                    time.sleep(2.0 ** len(recent))
