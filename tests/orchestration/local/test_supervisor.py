"""Services start together, end together, and leave no process behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestration.local.supervisor import Supervisor, parse_procfile

pytestmark = pytest.mark.medium

STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"
"""A service that ignores the request to stop."""


def supervisor(folder: Path, services: dict[str, str], grace_seconds: float = 10) -> Supervisor:
    return Supervisor(services, dict(os.environ), folder, folder / "logs", grace_seconds)


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
    return psutil.Process().children(recursive=True)


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


def test_end_of_one_service_ends_all(tmp_path: Path) -> None:
    services = supervisor(tmp_path, {"long": "exec sleep 60", "short": "exit 3"})
    exited = services.run(lambda: None, lambda: None)
    assert exited is not None
    assert (exited.name, exited.exit_code) == ("short", 3)
    assert children() == []


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
