"""Services start together, end together, and leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestration.local import leftovers
from orchestration.local.health import HealthMonitor
from orchestration.local.supervisor import Supervisor, parse_procfile

pytestmark = pytest.mark.medium

STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"
"""A service that ignores the request to stop."""


def supervisor(folder: Path, services: dict[str, str], grace_seconds: float = 10, **options: Any) -> Supervisor:
    options = {"backoff_seconds": 0.01, **options}
    return Supervisor(services, dict(os.environ), folder, folder / "logs", grace_seconds, **options)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.02)


def run(services: Supervisor, when: Callable[[], object] = lambda: True) -> None:
    """Run the services, and stop them once a condition holds."""

    def stop() -> None:
        until(when)
        services.stop()

    # As `touchline up` does: a process that handles a signal starts processes that do not ignore it.
    with services.stopped_by_signals():
        assert services.run(threading.Thread(target=stop).start, lambda: None) is None


def children() -> list[psutil.Process]:
    """Processes below this one, without the guard, which ends with the supervisor."""
    return [child for child in psutil.Process().children(recursive=True) if "leftovers.py" not in command(child)]


def command(process: psutil.Process) -> str:
    """The command line; empty for a process that ends."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_procfile_of_the_repository_is_read(repository: Path) -> None:
    services = parse_procfile((repository / "Procfile").read_text())
    assert list(services) == ["valkey", "mlflow", "api", "worker", "ui", "dagster"]
    assert services["api"] == "exec python -m serving.api"
    assert parse_procfile("# api: no\n\nweb: a: b\n") == {"web": "a: b"}


def test_each_service_has_its_own_log(tmp_path: Path) -> None:
    services = supervisor(tmp_path, {"first": "echo one; echo two >&2; exec sleep 60", "quiet": "exec sleep 60"})
    run(services, lambda: "two" in services.tail("first"))
    assert (tmp_path / "logs" / "first.log").read_text() == "one\ntwo\n"
    assert (tmp_path / "logs" / "quiet.log").read_text() == ""
    assert "first started (pid " in (tmp_path / "logs" / "system.log").read_text()
    assert services.killed == []


def test_tail_is_the_last_lines(tmp_path: Path) -> None:
    services = supervisor(tmp_path, {"long": "seq 1 100; exec sleep 60"})
    run(services, lambda: "100" in services.tail("long"))
    assert services.tail("long").splitlines() == [f"    {number}" for number in range(89, 101)]


def test_service_that_ends_again_and_again_ends_all(tmp_path: Path) -> None:
    """It is started six times: once, and five times again."""
    restarts: list[tuple[str, str]] = []
    services = supervisor(
        tmp_path,
        {"long": "exec sleep 60", "short": "echo started; exit 3"},
        on_restart=lambda *restart: restarts.append(restart),
    )
    exited = services.run(lambda: None, lambda: None)
    assert exited is not None
    assert (exited.name, exited.exit_code) == ("short", 3)
    assert restarts == [("short", "it stopped by itself (exit code 3)")] * 5
    assert (tmp_path / "logs" / "short.log").read_text().splitlines() == ["started"] * 6
    assert children() == []


def test_killed_service_is_started_again(tmp_path: Path) -> None:
    """All others go on, and what the dead one left is ended, since it would keep the port."""
    services = supervisor(tmp_path, {"other": "exec sleep 60", "broken": "sleep 61 & echo ready; wait"})

    def sleepers() -> list[psutil.Process]:
        return [process for process in children() if command(process) == "sleep 61"]

    def kill_and_wait() -> None:
        until(lambda: "ready" in services.tail("broken") and sleepers())
        (first,) = sleepers()
        parent = first.parent()
        assert parent is not None
        parent.kill()
        until(lambda: sleepers() and first not in sleepers() and services.tail("broken").count("ready") == 2)
        services.stop()

    with services.stopped_by_signals():
        assert services.run(threading.Thread(target=kill_and_wait).start, lambda: None) is None
    assert (tmp_path / "logs" / "broken.log").read_text() == "ready\n" * 2
    assert (tmp_path / "logs" / "system.log").read_text().count("other started") == 1


def test_service_that_does_not_answer_is_started_again(tmp_path: Path) -> None:
    """Its process is alive, but the child that does the work is gone."""
    starts, restarts, answered = tmp_path / "starts", list[tuple[str, str]](), list[bool]()

    def check() -> str | None:
        answered.append(True)
        return None if len(answered) == 1 else "it does not answer"

    services = supervisor(
        tmp_path,
        {"deaf": f"echo >> {starts}; exec sleep 60"},
        health=HealthMonitor({"deaf": check}, check_seconds=0.01, unhealthy_seconds=0.1),
        on_restart=lambda *restart: restarts.append(restart),
    )
    run(services, lambda: starts.exists() and len(starts.read_text()) >= 2)
    assert restarts[0] == ("deaf", "it does not answer")


KILLED_SUPERVISOR = """
import os, sys
from pathlib import Path
from orchestration.local.supervisor import Supervisor

folder = Path(sys.argv[1])
services = {"group": "sleep 71 & sleep 72 & wait", "other": "setsid sleep 73 & exec sleep 74"}
run = Supervisor(services, dict(os.environ), folder, folder / "logs", 5)
run.run(lambda: print("started", flush=True), lambda: None)
"""


@pytest.mark.parametrize("survivor", ["guard", "down"])
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path, repository: Path, survivor: str) -> None:
    """The guard ends every process of the run; if it was killed too, the next start or `touchline down` does."""
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_SUPERVISOR, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        until(lambda: len(leftovers.processes_of(tmp_path)) >= 5)
        guards = [child for child in psutil.Process(killed.pid).children() if "leftovers.py" in command(child)]
        assert len(guards) == 1
        if survivor == "down":
            guards[0].kill()
        killed.kill()
    if survivor == "down":
        assert len(leftovers.end(leftovers.processes_of(tmp_path), 5)) >= 5
    until(lambda: not leftovers.processes_of(tmp_path))


def test_earlier_logs_are_kept(tmp_path: Path) -> None:
    """The log of a run that failed is not emptied by the next start; three are kept."""
    for number in range(5):
        run(supervisor(tmp_path, {"first": f"echo {number}; exec sleep 60"}), lambda: tail(tmp_path))
    logs = [tmp_path / "logs" / f"first.log{end}" for end in ("", ".1", ".2", ".3")]
    assert [log.read_text() for log in logs] == ["4\n", "3\n", "2\n", "1\n"]
    assert not (tmp_path / "logs" / "first.log.4").exists()


def tail(folder: Path) -> str:
    return (folder / "logs" / "first.log").read_text()


def test_whole_process_group_is_stopped(tmp_path: Path) -> None:
    """A service's own children get the request to stop too."""
    services = supervisor(tmp_path, {"parent": "sleep 61 & sleep 62 & echo ready; wait"})
    run(services, lambda: "ready" in services.tail("parent"))
    assert children() == []
    assert services.killed == []


def test_service_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    services = supervisor(tmp_path, {"stubborn": STUBBORN, "good": "exec sleep 60"}, grace_seconds=0.5)
    run(services, lambda: len(children()) >= 2)
    assert [text.partition(" ")[0] for text in services.killed] == ["stubborn"]
    assert children() == []


def test_descendant_outside_the_group_is_killed(tmp_path: Path) -> None:
    """A signal to the group does not reach it, so it would outlive the run."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); print('ready', flush=True); time.sleep(9)"
    )
    (tmp_path / "daemon.py").write_text(code)
    start = f"import subprocess; subprocess.Popen([{sys.executable!r}, 'daemon.py'], start_new_session=True).wait()"
    (tmp_path / "parent.py").write_text(start)
    services = supervisor(tmp_path, {"parent": f"exec {sys.executable} parent.py"}, grace_seconds=0.5)
    daemons: list[psutil.Process] = []

    def ready() -> bool:
        daemons[:] = [process for process in children() if "daemon.py" in " ".join(process.cmdline())]
        return "ready" in services.tail("parent")

    run(services, ready)
    assert any("daemon.py" in text for text in services.killed)
    assert daemons
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in daemons)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything_once(tmp_path: Path, number: signal.Signals) -> None:
    """A second Ctrl-C while the first one is handled changes nothing. The previous handlers are restored."""
    slow = "trap 'sleep 0.5; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    services = supervisor(tmp_path, {"slow": slow})
    stopping: list[str] = []

    def send() -> None:
        until(lambda: "ready" in services.tail("slow"))
        os.kill(os.getpid(), number)
        until(lambda: stopping)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with services.stopped_by_signals():
        exited = services.run(threading.Thread(target=send).start, lambda: stopping.append("stopping"))
    assert exited is None
    assert (services.signalled, stopping, services.killed) == (True, ["stopping"], [])
    assert children() == []
    assert signal.getsignal(number) is before


def test_stop_before_the_start_starts_nothing(tmp_path: Path) -> None:
    services = supervisor(tmp_path, {"never": "echo started; exec sleep 60"})
    services.stop()
    assert services.run(lambda: pytest.fail("nothing was started"), lambda: None) is None
    assert "started" not in (tmp_path / "logs" / "system.log").read_text()
    assert services.tail("never") == ""
