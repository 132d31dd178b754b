"""`up`, `status`, `down`: a whole system in a folder of its own, as a person would run it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from api.cli.lifecycle import only_for_owner
from api.stack.ports import free_port
from api.stack.redis import RedisServer
from api.stack.status import ProcessStatus, SystemStatus, status_of
from api.stack.system import WORKERS, System, wanted_workers
from tests.conftest import settings_on

ROOT = Path(__file__).parents[2]


class Nova:
    """The command line, on one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}
        return subprocess.run(
            [sys.executable, "-m", "api", *arguments, "--data-dir", str(self.data_dir)],
            cwd=ROOT,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def up(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return self("up", "--detach", "--sample", "none", "--port", str(self.port), **variables)

    def status(self) -> SystemStatus:
        return status_of(System(self.data_dir))

    def processes(self) -> dict[str, ProcessStatus]:
        return {line.name: line for line in self.status().processes}

    def get(self, path: str, token: str = "") -> tuple[int, dict]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as exc:
            return exc.code, json.load(exc)


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


@pytest.fixture(scope="module")
def nova(server_root: Path) -> Iterator[Nova]:
    # A folder with a name as people give them.
    nova = Nova(server_root / 'my "life" 目 cycle\'s')
    started = nova.up()
    assert started.returncode == 0, started.stderr
    yield nova
    nova("down")


def test_up_serves_a_feed_with_the_token_it_prints(nova: Nova):
    again = nova.up()
    assert again.returncode == 0
    assert "already running" in again.stderr

    token = nova("token", "--user", "42").stdout.strip()
    status, page = nova.get("/api/v1/reels", token)
    assert (status, page["data"]) == (200, [])  # an empty world has no reels, and no error

    assert nova.get("/api/v1/reels", "forged")[0] == 401


def test_status_shows_every_process_and_is_healthy(nova: Nova):
    told = nova("status", "--json")
    assert told.returncode == 0
    status = msgspec.json.decode(told.stdout, type=SystemStatus)
    assert status.healthy
    assert [line.name for line in status.processes] == [
        "postgres",
        "redis",
        "clickhouse",
        "charts",
        "housekeeping",
        "landing",
        "reconciliation",
        "refreshing",
        "api",
    ]
    for line in status.processes:
        assert line.pid is not None and psutil.pid_exists(line.pid), line
    assert {lag.table for lag in status.landing} >= {"events", "videos", "follows"}
    assert eventually(lambda: {of.item_type for of in nova.status().counters} == {"video", "post"})


def test_servers_listen_on_loopback_only(nova: Nova):
    for line in nova.status().processes:
        process = psutil.Process(line.pid)
        for member in [process, *process.children(recursive=True)]:
            for connection in member.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1", line.name


def test_no_password_shows_in_the_process_list_or_a_log(nova: Nova):
    identity = json.loads((nova.data_dir / "identity.json").read_text())
    secrets = [identity["jwt_secret"], identity["cursor_secret"], *identity["passwords"].values()]
    commands = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    logs = [path.read_text(errors="replace") for path in nova.data_dir.glob("*/*.log")]
    logs.append((nova.data_dir / "up.log").read_text())
    for secret in secrets:
        assert not any(secret in text for text in [*commands, *logs])
    for name in ("identity.json", "up.log"):  # the second holds a token
        assert (nova.data_dir / name).stat().st_mode & 0o077 == 0


def test_a_log_that_all_could_read_is_closed_before_it_is_written(tmp_path: Path):
    path = tmp_path / "up.log"
    path.write_text("of an earlier version")
    path.chmod(0o644)
    with open(path, "wb", opener=only_for_owner):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == b""


def test_sql_answers_and_reports_errors(nova: Nova):
    assert nova("sql", "select 41 + 1", "--format", "TSV").stdout == "42\n"
    wrong = nova("sql", "select nothing_like_this")
    assert wrong.returncode == 1
    assert "nothing_like_this" in wrong.stderr


def test_versions_of_embeddings_are_registered_served_and_withdrawn(nova: Nova):
    def versions() -> dict[str, dict]:
        told = json.loads(nova("models", "list", "--json").stdout)
        return {version["model_version"]: version for version in told}

    (before,) = (name for name, version in versions().items() if version["active"])
    assert (
        nova("models", "register", "two_tower-64d", "--metric", "recall_at_50=0.25").returncode == 0
    )
    assert nova("models", "register", "two_tower-64d", "--metric", "mrr=0.5").returncode == 0
    assert nova("models", "activate", "two_tower-64d").returncode == 0
    served = versions()["two_tower-64d"]
    assert served["active"] and not versions()[before]["active"]
    assert served["metrics"] == {"recall_at_50": 0.25, "mrr": 0.5}

    for said, *words in (
        ("is served", "withdraw", "two_tower-64d"),
        ("is not registered", "activate", "nobody-64d"),
        ("its dimensions (64 to 512)", "register", "two_tower-63d"),
        ("provider of this version is", "register", "two_tower-64d", "--provider", "sql"),
        ("recall_at_50=0.31", "register", "two_tower-64d", "--metric", "mrr=nan"),
    ):
        refused = nova("models", *words)
        assert refused.returncode == 1 and said in refused.stderr, refused.stderr

    assert nova("models", "activate", before).returncode == 0
    assert nova("models", "withdraw", "two_tower-64d").returncode == 0
    assert list(versions()) == [before]


def test_only_workers_with_something_to_do_are_started():
    assert not {"embedding", "mirroring"} & set(wanted_workers(settings_on()))
    everything = settings_on(
        tensorflow_serving_url="http://127.0.0.1:8501", milvus_url="http://127.0.0.1:19530"
    )
    assert wanted_workers(everything) == list(WORKERS)


@pytest.mark.parametrize(
    "name",
    [
        "api",
        "charts",
        "landing",
        "reconciliation",
        "refreshing",
        "housekeeping",
        "redis",
        "clickhouse",
        "postgres",
    ],
)
def test_a_killed_process_comes_back(nova: Nova, name: str):
    killed = nova.processes()[name].pid
    victim = psutil.Process(killed)
    children = victim.children(recursive=True)
    victim.kill()

    assert eventually(lambda: nova.processes()[name].pid not in (killed, None))
    # Children that outlive their parent would go on serving with old code and settings.
    assert eventually(lambda: all(_is_gone(child) for child in children))
    assert eventually(lambda: nova.status().healthy)


def test_a_crash_of_up_leaves_nothing_in_the_way(nova: Nova, redis_server: RedisServer):
    before = nova.processes()
    holder = int((nova.data_dir / "up.lock").read_text())
    os.kill(holder, signal.SIGKILL)
    assert eventually(lambda: not psutil.pid_exists(holder) or _is_zombie(holder))

    # This time with a Redis of one's own: the embedded one of the earlier `up` ends all the same.
    again = nova.up(NOVA_REDIS_URL=redis_server.url)
    assert again.returncode == 0, again.stderr
    assert "earlier" in again.stderr
    assert nova.status().healthy
    redis = nova.processes().pop("redis")
    assert (redis.pid, redis.port) == (None, redis_server.port)
    assert not psutil.pid_exists(before["redis"].pid)
    for name, line in nova.processes().items():
        assert line.pid != before[name].pid, name


def _is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or _is_zombie(process.pid)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_taken_port_is_named_and_nothing_is_left_running(server_root: Path):
    other = Nova(server_root / "taken")
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", other.port))
        squatter.listen()
        refused = other.up()
    assert refused.returncode == 1
    assert f"port {other.port} is taken" in refused.stderr
    assert not any(line.pid for line in other.status().processes)


def test_without_its_server_a_command_talks_to_nobody(server_root: Path, nova: Nova):
    """A server of somebody else may have the port by then; it must not hear our password."""
    stopped = Nova(server_root / "stopped")
    identity = System(nova.data_dir).identity()
    assert identity is not None
    # Ports of a system that runs, all of them of servers of its own.
    identity.variables = {}
    System(stopped.data_dir).save_identity(identity)
    for command in (("sql", "select 1"), ("psql", "-c", "select 1"), ("dbt", "debug")):
        refused = stopped(*command)
        assert refused.returncode == 1
        assert "is not running" in refused.stderr
    assert not any(line.healthy for line in stopped.status().processes)


def test_a_bad_variable_stops_up_and_nothing_else(nova: Nova, server_root: Path):
    other = Nova(server_root / "bad")
    refused = other.up(NOVA_WORKERS="many")
    assert refused.returncode == 1
    assert "NOVA_WORKERS" in refused.stderr
    assert nova("status", NOVA_WORKERS="many").returncode == 0
    assert "nothing was running" in other("down", NOVA_WORKERS="many").stderr


def test_before_the_first_up_commands_say_so(server_root: Path):
    fresh = Nova(server_root / "fresh")
    refused = fresh("token", "--user", "1")
    assert refused.returncode == 1
    assert "./nova up" in refused.stderr
    assert "nothing was running" in fresh("down").stderr


def test_reset_spares_a_folder_it_did_not_make(server_root: Path):
    precious = server_root / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    refused = Nova(precious)("reset", "--yes")
    assert refused.returncode == 1
    assert (precious / "thesis.txt").exists()


def test_down_stops_everything_and_reset_forgets(nova: Nova):
    pids = [line.pid for line in nova.status().processes if line.pid]
    assert nova("down", NOVA_WORKERS="many").returncode == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not nova.status().healthy
    assert nova("status").returncode == 1

    assert nova("reset", "--yes").returncode == 0
    assert not nova.data_dir.exists()
