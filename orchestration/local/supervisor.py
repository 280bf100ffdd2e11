"""Starts the services of a Procfile, starts those again that fail, and stops all of them on request."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from uuid import uuid4

import psutil

from orchestration.local import leftovers
from orchestration.local.health import HealthMonitor
from orchestration.local.leftovers import marked
from orchestration.local.service_logs import LogFile, LogPipes, rotate

POLL_SECONDS = 0.1
TAIL_LINES = 12
BACKOFF_SECONDS = 0.5
"""Base of the delay before a service is started again: at once, then after 0.5, 1.5, 3.5 and 7.5 s."""
MAX_RESTARTS, RESTART_WINDOW_SECONDS = 5, 60.0
"""After so many within this time, a service is given up."""

_PROCFILE_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>.+)$")


def parse_procfile(text: str) -> dict[str, str]:
    """Name and shell command of every service; lines that are not `name: command` are comments."""
    lines = (_PROCFILE_LINE.match(line) for line in text.splitlines())
    return {line["name"]: line["command"] for line in lines if line}


@dataclass(frozen=True)
class ServiceExit:
    """A service that was given up: it ended, or stopped answering, again and again."""

    name: str
    exit_code: int | None
    """None if the process was still there but did not answer."""
    reason: str = ""


class Supervisor:
    """Runs each service in its own session, which a Ctrl-C in the terminal does not reach.

    A service that ends or stops answering is started again, with growing delays; after five times within a minute, the
    run ends. Its output goes through a pipe into `logs/<name>.log`; the supervisor writes to `logs/system.log`. If the
    supervisor itself is killed, a guard process ends the services.
    """

    def __init__(
        self,
        services: Mapping[str, str],
        environment: Mapping[str, str],
        folder: Path,
        logs: Path,
        grace_seconds: float,
        health: HealthMonitor | None = None,
        on_restart: Callable[[str, str], None] | None = None,
        backoff_seconds: float = BACKOFF_SECONDS,
    ) -> None:
        """`on_restart` gets the name of a service that is about to be started again, and the reason."""
        self._services, self._environment, self._folder, self._logs = services, environment, folder, logs
        self._home, self.run_id = logs.parent, uuid4().hex
        self._grace_seconds, self._backoff_seconds = grace_seconds, backoff_seconds
        self._on_restart = on_restart
        self._health = health or HealthMonitor({})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._restarted_at: dict[str, list[float]] = {name: [] for name in services}
        self._due: dict[str, float] = {}
        self._stop_requested = False
        self._pipes: LogPipes | None = None
        self.signalled = False
        self.killed: list[str] = []
        logs.mkdir(parents=True, exist_ok=True)
        for name in (*services, "system"):  # every service has a log, even one that has written nothing yet
            rotate(logs / f"{name}.log")
        self._log_files = {name: LogFile(logs / f"{name}.log") for name in (*services, "system")}

    def run(self, on_started: Callable[[], None], on_stopping: Callable[[], None]) -> ServiceExit | None:
        """Start all services and keep them running until `stop`; returns the service that was given up, if any.

        `killed` lists the processes that had to be killed.
        """
        self._pipes, guard = LogPipes(), self._start_guard()
        try:
            self._start_all()
            if not self._stop_requested:
                on_started()
            self._health.start()
            given_up = self._watch()
            on_stopping()
        finally:
            self._health.stop()
            self.killed = self._stop_all()
            self._pipes.close()
            guard.communicate()
        return given_up

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

    def _start_all(self) -> None:
        for name in self._services:
            if self._stop_requested:
                return
            self._start(name)

    def _start(self, name: str) -> None:
        assert self._pipes is not None
        output = self._pipes.open(self._log_files[name])
        try:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - the Procfile is part of this repository
                ["/bin/sh", "-c", self._services[name]],
                cwd=self._folder,
                env=marked(self._environment, self._home, self.run_id, name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._log(f"{name} started (pid {self._processes[name].pid})")

    def _start_guard(self) -> subprocess.Popen[bytes]:
        """Start the process that ends the services if this one is killed: its input then closes."""
        arguments = [str(self._home), self.run_id, str(self._grace_seconds)]
        return subprocess.Popen(  # noqa: S603 - this module's own interpreter
            [sys.executable, "-P", leftovers.__file__, *arguments], stdin=subprocess.PIPE, start_new_session=True
        )

    def _watch(self) -> ServiceExit | None:
        # Polled, so that a signal handler only sets a flag: waking a condition from a handler can deadlock.
        while not self._stop_requested:
            if (given_up := self._plan_restarts()) is not None:
                return given_up
            for name in [name for name, due in self._due.items() if due <= time.monotonic()]:
                del self._due[name]
                self._health.forget(name)
                self._start(name)
            time.sleep(POLL_SECONDS)
        self._log("a stop was requested")
        return None

    def _plan_restarts(self) -> ServiceExit | None:
        """Plan to start again what has ended or does not answer; returns a service that did so too often."""
        unhealthy = self._health.unhealthy()
        for name, process in self._processes.items():
            code = process.poll()
            if name in self._due or (code is None and name not in unhealthy):
                continue
            reason = unhealthy[name] if code is None else f"it stopped by itself (exit code {code})"
            self._log(f"{name}: {reason}")
            now = time.monotonic()
            recent = [at for at in self._restarted_at[name] if now - at < RESTART_WINDOW_SECONDS]
            if len(recent) >= MAX_RESTARTS:
                return ServiceExit(name, code, reason)
            self._restarted_at[name] = [*recent, now]
            # What is left of it would keep its port.
            leftovers.end(leftovers.processes_of(self._home, self.run_id, name), min(self._grace_seconds, 5))
            if self._on_restart is not None:
                self._on_restart(name, reason)
            self._due[name] = time.monotonic() + self._backoff_seconds * (2 ** len(recent) - 1)
        return None

    def _stop_all(self) -> list[str]:
        """Ask every process to stop, then kill those that did not; returns the killed ones.

        Descendants are listed before the first signal, because one that has left its service's process group does not
        receive a signal to the group.
        """
        descendants = list({*_descendants(self._processes.values()), *leftovers.processes_of(self._home, self.run_id)})
        self._signal_groups(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        while time.monotonic() < deadline and (self._running() or _alive(descendants)):
            time.sleep(POLL_SECONDS)
        killed = [f"{name} (pid {self._processes[name].pid})" for name in self._running()]
        self._signal_groups(signal.SIGKILL)
        for process in self._processes.values():
            process.wait()
        time.sleep(POLL_SECONDS)
        alive = _alive(descendants)
        killed += _kill(alive)
        psutil.wait_procs(alive, timeout=5)
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
        self._log_files["system"].write(f"{time.strftime('%H:%M:%S')} {text}\n".encode())


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
