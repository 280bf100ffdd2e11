"""Memory and processor of every process, idle and under load: `python -m tests.benchmarks.sizing`.

Runs `touchline up` on a RabbitMQ, a PostgreSQL and a Valkey of its own, as an installation of the chart has them (one
competition, the bundled 12 seasons), and prints the table of helm/README.md: proportional set size, and cores that
were busy, at rest, at 50 forecasts a second, and at as many as are answered. Wants RabbitMQ and PostgreSQL installed
and a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.benchmarks.serving import ONE
from tests.support.load_generator import closed, opened
from tests.support.ports import free_port
from tests.support.rabbitmq_server import Rabbit
from tests.support.redis_server import Store
from tests.support.service_harness import REPOSITORY, wait_until

T = TypeVar("T")

AT_REST, RATE, LOADED, SATURATED = 15, 50, 20, 10
# Command lines of the processes of one container, by the name of its row.
ROWS = {
    "API": r"-m serving\.api",
    "worker": r"-m serving\.worker",
    "MLflow": r"mlflow[ .]server|mlflow\.server",
    "match viewer": r"-m ui\b",
    "Dagster code server": r"dagster api grpc|dagster\._cli api grpc|dagster code-server",
    "Dagster webserver": r"orchestration.local.webserver|dagster_webserver|dagster-webserver",
    "Dagster daemon": r"dagster\._daemon|dagster-daemon",
    "run": r"-m orchestration\.local\.pipeline",
    "RabbitMQ": r"beam\.smp",
    "Valkey": r"valkey-server",
    "PostgreSQL": r"postgres",
}


class Watch:
    """Every second, what the processes below some roots hold; and what they have spent."""

    def __init__(self, roots: list[int]) -> None:
        self._roots, self._ended = roots, threading.Event()
        self.peak: dict[str, float] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(1):
            held: dict[str, float] = defaultdict(float)
            for row, process in self._processes():
                try:
                    held[row] += process.memory_full_info().pss / 1e6
                except psutil.Error:
                    continue
            for row, size in held.items():
                self.peak[row] = max(self.peak.get(row, 0), size)

    def _processes(self) -> Iterator[tuple[str, psutil.Process]]:
        for root in self._roots:
            for process in [*psutil.Process(root).children(recursive=True), psutil.Process(root)]:
                try:
                    line = " ".join(process.cmdline())
                    above = " ".join(one for up in process.parents()[:3] for one in up.cmdline())
                except psutil.Error:
                    continue
                # A child that tells nothing of itself belongs to what started it.
                row = next((name for name, known in ROWS.items() if re.search(known, line)), None)
                row = row or next((name for name, known in ROWS.items() if re.search(known, above)), None)
                if row:
                    yield row, process

    def spent(self) -> dict[str, float]:
        """Processor seconds of each row so far."""
        total: dict[str, float] = defaultdict(float)
        for row, process in self._processes():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total[row] += times.user + times.system
        return total

    def phase(self, work: Callable[[], T]) -> tuple[dict[str, float], dict[str, float], T]:
        """Memory at its highest and busy cores of each row while some work is done, and what the work gave."""
        self.peak, before, began = {}, self.spent(), time.monotonic()
        outcome = work()
        seconds, after = time.monotonic() - began, self.spent()
        return dict(self.peak), {row: (after[row] - before[row]) / seconds for row in after}, outcome

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[int, int]]:
    """A PostgreSQL with the databases mlflow and dagster: its port and its process."""
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    data, where = folder / "postgresql", free_port()
    data.mkdir()
    if user:
        os.chown(data, pwd.getpwnam("postgres").pw_uid, -1)
    run: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **user}
    subprocess.run([tools / "initdb", "-A", "trust", "-U", "postgres", "-D", data / "db"], check=True, **run)
    server = subprocess.Popen(
        [tools / "postgres", "-D", data / "db", "-p", str(where), "-k", data, "-h", "127.0.0.1"], **run
    )

    def created(name: str) -> bool:
        command: list[str | Path] = [tools / "createdb", "-h", "127.0.0.1", "-p", str(where), "-U", "postgres", name]
        return subprocess.run(command, check=False, **run).returncode == 0

    try:
        for name in ("mlflow", "dagster"):
            wait_until(partial(created, name))
        yield where, server.pid
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def start_up(environment: dict[str, str]) -> tuple[subprocess.Popen[str], threading.Event]:
    """`touchline up`, and an event for the moment at which everything answers."""
    up = [sys.executable, "-m", "orchestration.local.cli", "up"]
    run = subprocess.Popen(up, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE)
    ready = threading.Event()

    def read() -> None:
        assert run.stdout is not None
        for line in run.stdout:
            if "Ctrl-C stops everything" in line:
                ready.set()

    threading.Thread(target=read, daemon=True).start()
    return run, ready


def measure(folder: Path) -> None:
    """Start everything, measure, print, stop."""
    rabbit, store = Rabbit(folder / "rabbit"), Store(folder / "store")
    ports = {f"TOUCHLINE_{name}_PORT": str(free_port()) for name in ("API", "UI", "DAGSTER", "MLFLOW")}
    with postgres(folder) as (database, server):
        try:
            rabbit.start(180)
            store.start()
            environment = {
                **os.environ,
                **ports,
                "TOUCHLINE_HOME": str(folder / "home"),
                "TOUCHLINE_BROKER_URL": rabbit.url,
                "TOUCHLINE_RESULT_BACKEND_URL": f"{store.url}/0",
                "TOUCHLINE_DAGSTER_STORAGE_URL": f"postgresql://postgres@127.0.0.1:{database}/dagster",
                "MLFLOW_BACKEND_STORE_URI": f"postgresql://postgres@127.0.0.1:{database}/mlflow",
            }
            run, ready = start_up(environment)
            try:
                watch = Watch([run.pid, server, rabbit.pid, store.pid])
                first, _, _ = watch.phase(lambda: ready.wait(600))
                report(watch, first, f"http://127.0.0.1:{ports['TOUCHLINE_API_PORT']}/predict")
                watch.end()
            finally:
                run.send_signal(signal.SIGINT)
                run.wait(60)
        finally:
            store.kill()
            rabbit.stop()


def report(watch: Watch, first: dict[str, float], url: str) -> None:
    """The phases after the start, as a table and a line."""
    rest, idle, _ = watch.phase(lambda: time.sleep(AT_REST))
    held, busy, steady = watch.phase(lambda: asyncio.run(opened(url, ONE, RATE, LOADED)))
    _, full, most = watch.phase(lambda: asyncio.run(closed(url, ONE, 32, SATURATED)))
    print(f"load average {os.getloadavg()[0]:.1f}; at {RATE}/s: {steady}; as many as are answered: {most}\n")
    print(f"| process | MB at rest | MB at {RATE}/s | cores at rest | cores at {RATE}/s | cores at peak |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        if row == "run":
            print(f"| run | – | {first[row]:.0f} at its highest | – | – | – |")
        elif row in rest:
            cores = (f"{one.get(row, 0):.2f}" for one in (idle, busy, full))
            print(f"| {row} | {rest[row]:.0f} | {held[row]:.0f} | {' | '.join(cores)} |")
    rate = most.rate
    each = {row: rate / full[row] for row in ("API", "worker") if full.get(row)}
    print("\nforecasts a second that a whole core would answer: " + ", ".join(f"{k} {v:.0f}" for k, v in each.items()))


def main() -> None:
    """Measure in a folder that is gone afterwards; PostgreSQL's user must be able to enter it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        measure(Path(name))


if __name__ == "__main__":
    main()
