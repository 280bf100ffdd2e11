"""`touchline dev`: API, worker and viewer on the existing lake; each restarts when its code is saved."""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from collections.abc import Callable
from pathlib import Path

from features.io.setting_names import PREFIX
from features.io.store import Lake
from orchestration.local.preflight import (
    SUPERVISOR_PID,
    CannotStartError,
    check_answers,
    check_disk,
    check_host,
    check_ports,
    secure_home,
    single_instance_lock,
    write_run_settings,
)
from orchestration.local.run import GRACE_SECONDS, end_leftovers
from orchestration.local.services import ROOT, LocalSettings, child_environment, prepare, services_of
from orchestration.local.smoke import wait_for
from orchestration.local.supervisor import Supervisor

RELOADED = ("api", "worker")
WATCHED = ("features", "monitoring", "serving")
"""Packages that API and worker import."""
FOLLOW_SECONDS = 0.2


def dev_commands(settings: LocalSettings) -> dict[str, str]:
    """Name and command of every service in the Procfile except Dagster, changed to restart when its code is saved.

    `watchfiles` stops API and worker with SIGINT and starts them again with the commands of the Procfile. Uvicorn's own
    `--reload` would cover the API only. Streamlit watches its files itself.
    """
    commands = services_of(settings)
    del commands["dagster"]
    for name in RELOADED:
        command = shlex.quote(commands[name].removeprefix("exec "))
        commands[name] = f"exec watchfiles --filter python --target-type command {command} {' '.join(WATCHED)}"
    if "mlflow" in commands:  # otherwise MLflow logs every poll by the worker
        commands["mlflow"] += " --uvicorn-opts '--log-level warning'"
    commands["ui"] += " --server.runOnSave true"
    return commands


def dev(settings: LocalSettings, echo: Callable[[str], None]) -> int:
    """Run the services until Ctrl-C, with the logs of API and worker on the terminal; returns the exit code.

    Raises
    ------
    CannotStartError
        If the lake has no forecasts, or something else runs in this home or on its ports.
    """
    if not Lake(settings.lake_root).partitions("forecasts"):
        raise CannotStartError(
            f"{settings.lake_root} holds no forecasts yet; run `make up` once, stop it, then run `make dev`"
        )
    secure_home(settings.home, settings.lake)
    check_disk(settings.home)
    with single_instance_lock(settings.home):
        end_leftovers(settings.home, echo)
        check_ports({name: port for name, port in settings.ports.items() if name != "TOUCHLINE_DAGSTER_PORT"})
        check_host("TOUCHLINE_UI_HOST", settings.ui_host)
        check_answers(settings.external_services)
        prepare(settings)
        return _run(settings, echo)


def _run(settings: LocalSettings, echo: Callable[[str], None]) -> int:
    environment = child_environment(settings)
    own = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    write_run_settings(settings.home, {**own, SUPERVISOR_PID: str(os.getpid())})  # `touchline advance` reads them
    logs = settings.home.absolute() / "logs"
    supervisor = Supervisor(dev_commands(settings), environment, ROOT, logs, GRACE_SECONDS)
    stopping = threading.Event()
    threads = [threading.Thread(target=_announce, args=(settings, stopping, echo), daemon=True)]
    for name in RELOADED:
        follow = (name, logs / f"{name}.log", stopping, echo)
        threads.append(threading.Thread(target=_follow, args=follow, daemon=True))

    def start_threads() -> None:
        for thread in threads:
            thread.start()

    with supervisor.stopped_by_signals():
        exited = supervisor.run(start_threads, stopping.set)
    if exited is not None:
        echo(f"touchline: {exited.name} fails again and again: {exited.reason}; see {logs}/{exited.name}.log")
        return 1
    return 0


def _announce(settings: LocalSettings, stopping: threading.Event, echo: Callable[[str], None]) -> None:
    """Print the addresses once API and viewer answer. If they never do, their logs on the terminal say why."""
    with contextlib.suppress(CannotStartError):
        for name in ("REST API", "Matches (UI)"):
            wait_for(name, *settings.addresses[name], stopping)
            echo(f"  {name:<13} {settings.addresses[name][0]}")
        echo(f"Ready. Saving a file in {', '.join(WATCHED)} restarts API and worker; Ctrl-C stops everything.")


def _follow(name: str, log: Path, stopping: threading.Event, echo: Callable[[str], None]) -> None:
    """Print each line that a service writes to its log, prefixed with the service's name."""
    with log.open(errors="replace") as lines:
        while not stopping.wait(FOLLOW_SECONDS):
            for line in lines:
                echo(f"{name:<6} | {line.rstrip()}")
