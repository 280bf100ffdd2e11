"""Processes that a run started, told by their environment: they outlive a supervisor that is killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

_HOME, _RUN, _SERVICE = "SUPERVISOR_HOME", "SUPERVISOR_RUN", "SUPERVISOR_SERVICE"
"""Variables that only a supervisor sets, for every process that it starts: home folder, run, and service."""


def marked(environment: Mapping[str, str], home: Path, run: str, service: str) -> dict[str, str]:
    """Return an environment in which every descendant of a service can be told."""
    return {**environment, _HOME: str(home.absolute()), _RUN: run, _SERVICE: service}


def processes_of(home: Path, run: str | None = None, service: str | None = None) -> list[psutil.Process]:
    """Find the processes of a home, of one run or one service in it, except this process; it takes milliseconds."""
    wanted = {_HOME: str(home.absolute()), _RUN: run, _SERVICE: service}
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            is_alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):  # it has ended, or is another user's
            continue
        is_wanted = all(value is None or environment.get(name) == value for name, value in wanted.items())
        if is_alive and is_wanted and process.pid != os.getpid():
            found.append(process)
    return found


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> list[str]:
    """Ask processes to end, kill those that did not; returns the command lines of all."""
    listed = list(processes)
    commands = []
    for process in listed:
        try:
            commands.append(f"{' '.join(process.cmdline())[:100]} (pid {process.pid})")
            process.terminate()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(listed, timeout=grace_seconds)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(alive, timeout=5)
    return commands


def guard(home: Path, run: str, grace_seconds: float) -> None:
    """Wait until the supervisor has ended, which closes this process's input, and end all that its run left."""
    sys.stdin.buffer.read()
    while left := processes_of(home, run):
        end(left, grace_seconds)


if __name__ == "__main__":
    guard(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
