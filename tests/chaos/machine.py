"""The whole system, each process by itself, so that a test can take one away."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from api.auth import issue_token
from api.settings import Settings
from api.stack.migrations import migrate_all
from api.stack.ports import free_port
from api.stack.process import ManagedProcess
from api.stack.system import STORES, Identity, System


class Machine:
    """Stores, workers and the service, as `up` runs them, and nobody who starts them again."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.system = System(root / "system")
        self.identity = Identity.new()
        self.identity.ports = {store: free_port() for store in STORES}
        self.identity.api_port = free_port()
        self.identity.variables = dict(variables)
        self.system.save_identity(self.identity)
        self.system.data_dir.chmod(0o755)
        self.settings: Settings = self.system.settings()
        # One object each: it is the parent that must notice the end of its child.
        self.processes: dict[str, ManagedProcess] = {
            process.name: process for process in self.system.processes()
        }

    def start_stores(self) -> None:
        """Start the stores, and give them their tables."""
        for store in STORES:
            self.processes[store].start()
        migrate_all(self.settings)

    def start(self) -> None:
        """Start whatever does not run."""
        for process in self.processes.values():
            process.start()

    def close(self) -> None:
        for process in reversed(self.processes.values()):
            process.kill()

    def token(self, viewer_id: int) -> str:
        return issue_token(self.settings, user_id=viewer_id, ttl_seconds=3_600)

    def family(self, name: str) -> list[psutil.Process]:
        """A process and all it started."""
        leader = self.processes[name].process
        assert leader
        return [leader, *leader.children(recursive=True)]


def send(family: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes; one that is gone needs none."""
    for member in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member.pid, number)


@contextlib.contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """A folder that every uid may enter, gone at the end unless NOVA_TEST_KEEP."""
    root = Path(tempfile.mkdtemp(prefix=f"nova-{name}-"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        if not os.environ.get("NOVA_TEST_KEEP"):
            shutil.rmtree(root, ignore_errors=True)
