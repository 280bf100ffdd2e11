"""Starts the services of a Procfile, and stops all of them on request or when one exits."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

POLL_SECONDS = 0.1
TAIL_LINES = 12

_PROCFILE_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>.+)$")


def parse_procfile(text: str) -> dict[str, str]:
    """Name and shell command of every service; lines that are not `name: command` are comments."""
    lines = (_PROCFILE_LINE.match(line) for line in text.splitlines())
    return {line["name"]: line["command"] for line in lines if line}


@dataclass(frozen=True)
class ServiceExit:
    """A service that exited without a request to stop."""

    name: str
    exit_code: int


class Supervisor:
    """Runs each service in its own session, which a Ctrl-C in the terminal does not reach.

    A service writes its output straight into `logs/<name>.log`; the supervisor writes to `logs/system.log`.
    """

    def __init__(
        self,
        services: Mapping[str, str],
        environment: Mapping[str, str],
        folder: Path,
        logs: Path,
        grace_seconds: float,
    ) -> None:
        self._services, self._environment, self._folder, self._logs = services, environment, folder, logs
        self._grace_seconds = grace_seconds
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stop_requested = False
        self.signalled = False
        self.killed: list[str] = []
        logs.mkdir(parents=True, exist_ok=True)
        for name in (*services, "system"):  # every service has a log, even one that has written nothing yet
            (logs / f"{name}.log").write_bytes(b"")

    def run(self, on_started: Callable[[], None], on_stopping: Callable[[], None]) -> ServiceExit | None:
        """Start all services and stop them after `stop` or when one exits; returns the service that exited, if any.

        `killed` lists the processes that had to be killed.
        """
        try:
            self._start()
            if not self._stop_requested:
                on_started()
            exited = self._wait()
            on_stopping()
        finally:
            self.killed = self._stop_all()
        return exited

    def stop(self) -> None:
        """Make `run` stop everything and return. May be called repeatedly, from any thread or signal handler."""
        self._stop_requested = True

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Within the block, every SIGINT and SIGTERM calls `stop`."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.signalled = True
            self.stop()

        previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def tail(self, name: str) -> str:
        """The last lines that a service wrote, indented."""
        lines = (self._logs / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])

    def _start(self) -> None:
        for name, command in self._services.items():
            if self._stop_requested:
                return
            with (self._logs / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(  # noqa: S603 - the Procfile is part of this repository
                    ["/bin/sh", "-c", command],
                    cwd=self._folder,
                    env=dict(self._environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._log(f"{name} started (pid {self._processes[name].pid})")

    def _wait(self) -> ServiceExit | None:
        # Polled, so that a signal handler only sets a flag: waking a condition from a handler can deadlock.
        while not self._stop_requested:
            for name, process in self._processes.items():
                if (code := process.poll()) is not None:
                    self._log(f"{name} stopped by itself (exit code {code})")
                    return ServiceExit(name, code)
            time.sleep(POLL_SECONDS)
        self._log("a stop was requested")
        return None

    def _stop_all(self) -> list[str]:
        """Ask every process to stop, then kill those that did not; returns the killed ones.

        Descendants are listed before the first signal, because one that has left its service's process group does not
        receive a signal to the group.
        """
        descendants = _descendants(self._processes.values())
        self._signal_groups(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        while time.monotonic() < deadline and (self._running() or _alive(descendants)):
            time.sleep(POLL_SECONDS)
        killed = [f"{name} (pid {self._processes[name].pid})" for name in self._running()]
        self._signal_groups(signal.SIGKILL)
        for process in self._processes.values():
            process.wait()
        time.sleep(POLL_SECONDS)
        leftovers = _alive(descendants)
        killed += _kill(leftovers)
        psutil.wait_procs(leftovers, timeout=5)
        for text in killed:
            self._log(f"killed {text}")
        return killed

    def _running(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.poll() is None]

    def _signal_groups(self, number: signal.Signals) -> None:
        for name, process in self._processes.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
                os.killpg(process.pid, number)
                self._log(f"{number.name} to {name}")

    def _log(self, text: str) -> None:
        with (self._logs / "system.log").open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _kill(processes: Iterable[psutil.Process]) -> list[str]:
    """Kill processes; returns their command lines."""
    killed = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            process.kill()
            if command:  # a process with an empty command line is ending anyway
                killed.append(f"{command} (pid {process.pid})")
    return killed


def _descendants(services: Iterable[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    descendants: list[psutil.Process] = []
    for service in services:
        with contextlib.suppress(psutil.NoSuchProcess):
            descendants += psutil.Process(service.pid).children(recursive=True)
    return descendants


def _alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    alive = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive
