"""A tracking server of the test's own: stop it, kill it, start it again on the same database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.service_harness import World, wait_until


class Tracking:
    """An MLflow server on a database."""

    def __init__(self, database: str, folder: Path, artifacts: Path | None = None) -> None:
        self.port = free_port()
        self._command = [
            str(Path(sys.executable).parent / "mlflow"), "server", "--backend-store-uri", database,
            "--port", str(self.port), "--workers", "1",
            *(["--artifacts-destination", str(artifacts)] if artifacts else []),
        ]  # fmt: skip
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen_from(self, world: World) -> World:
        """The same world with this server as its registry."""
        return World(world.lake_root, self.url)

    def start(self) -> None:
        output = (self._folder / "tracking.log").open("ab")
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._process = subprocess.Popen(
            self._command, env=environment, cwd=self._folder, stdout=output, stderr=output, start_new_session=True
        )
        wait_until(lambda: httpx.get(f"{self.url}/health").status_code == 200, 120)

    def hang(self) -> None:
        """Accept connections and never answer."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)
