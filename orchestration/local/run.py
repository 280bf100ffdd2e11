"""`touchline up`: start every service of the Procfile on this machine, and stop them all at the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from features.io.setting_names import PREFIX
from orchestration.local.health import Check, HealthMonitor, answers, code_location_answers
from orchestration.local.leftovers import end, marked, processes_of
from orchestration.local.preflight import (
    SUPERVISOR_PID,
    CannotStartError,
    check_answers,
    check_disk,
    check_host,
    check_ports,
    read_run_settings,
    secure_home,
    single_instance_lock,
    write_run_settings,
)
from orchestration.local.service_logs import rotate
from orchestration.local.services import ROOT, LocalSettings, child_environment, prepare, services_of
from orchestration.local.smoke import first_forecast, probe, wait_for
from orchestration.local.supervisor import MAX_RESTARTS, ServiceExit, Supervisor

GRACE_SECONDS = 15
"""How long a service may take to finish its work before it is killed."""


class LocalRun:
    """One `touchline up`, from the first printed line to the end of the last process."""

    def __init__(self, settings: LocalSettings, echo: Callable[[str], None]) -> None:
        self.settings, self.echo = settings, echo
        self.home = settings.home.absolute()
        self.environment = child_environment(settings)
        self.started_at, self._began = time.monotonic(), datetime.now(UTC)
        self.failure: str | None = None
        self._first_forecast_seconds: float | None = None
        self._stopping = threading.Event()
        self._pipeline: subprocess.Popen[str] | None = None
        self._pipeline_failed = False
        self._pipeline_log = self.home / "logs" / "pipeline.log"
        rotate(self._pipeline_log)
        self.supervisor = Supervisor(
            services_of(settings),
            self.environment,
            ROOT,
            self.home / "logs",
            grace_seconds=GRACE_SECONDS,
            health=HealthMonitor(checks_of(settings)),
            on_restart=self.announce_restart,
        )

    def run(self) -> int:
        """Start the services, wait, and stop them; returns 0 after a requested stop, 1 after a failure."""
        self.echo(f"Starting Touchline; its state and logs are in {self.home}")
        announcer = threading.Thread(target=self._start_up_and_announce, daemon=True)
        with self.supervisor.stopped_by_signals():
            try:
                exited = self.supervisor.run(announcer.start, self._on_stopping)
            finally:
                self._stopping.set()
                self._end_pipeline()
        for process in self.supervisor.killed:
            self.echo(f"touchline: killed {process}, which did not stop within {GRACE_SECONDS} s")
        if self.failure is None and exited is not None:
            self.failure = self._describe_exit(exited)
        if self.failure:
            self.echo(f"touchline: {self.failure}")
            return 1
        self.echo(
            f"Stopped; it ran for {format_duration(time.monotonic() - self.started_at)}, and nothing is left running."
        )
        return int(self._pipeline_failed)

    def announce_restart(self, name: str, reason: str) -> None:
        """Say that a service is started again; runs that Dagster's dead processes executed are ended."""
        self.echo(f"touchline: {name} is started again: {reason}; see {self.home}/logs/{name}.log")
        if name == "dagster":
            arguments = ["orchestration.local.lost_runs", datetime.now(UTC).isoformat(), "--launched"]
            threading.Thread(target=self._echo_output, args=(arguments,), daemon=True).start()

    def _echo_output(self, arguments: list[str]) -> None:
        output = subprocess.run(  # noqa: S603 - a module of this repository
            [sys.executable, "-m", *arguments], env=self.environment, cwd=ROOT, text=True, capture_output=True
        ).stdout
        for line in output.splitlines():
            self.echo(f"touchline: {line}")

    def _on_stopping(self) -> None:
        self._stopping.set()
        if self.supervisor.signalled:
            self.echo("Stopping ...")
        if self._pipeline is not None and self._pipeline.poll() is None:
            self._pipeline.terminate()  # beside the services

    def _start_up_and_announce(self) -> None:
        """Run the pipeline, wait until every service answers, print the addresses. Runs beside the services."""
        try:
            # Dagster too: it creates its database when it starts, and two processes must not create it at once.
            for name in ("MLflow", "Dagster"):
                wait_for(name, *self.settings.addresses[name], self._stopping)
            threading.Thread(target=self._announce_first_forecast, daemon=True).start()
            if not self.run_pipeline():
                return
            for name, (address, path) in self.settings.addresses.items():
                wait_for(name, address, path, self._stopping)
            served = first_forecast(self.settings.addresses["REST API"][0], self._stopping)
            self._print_addresses(served)
        except Exception as error:  # whatever ends this thread must end the run, with a message
            if not self._stopping.is_set():
                reason = error if isinstance(error, CannotStartError) else repr(error)
                self.failure = f"{reason}; logs are in {self.home}/logs"
                self.supervisor.stop()

    def _announce_first_forecast(self) -> None:
        """Say when forecasts are served: as soon as they are published, while the pipeline still scores and checks."""
        api = self.settings.addresses["REST API"][0]
        while not self._stopping.wait(1) and self._first_forecast_seconds is None:
            if probe(api) is None:
                self._first_forecast_seconds = time.monotonic() - self.started_at
                if self._pipeline is not None and self._pipeline.poll() is None:
                    self.echo(f"  forecasts are served now: {self.settings.addresses['Matches (UI)'][0]}")

    def run_pipeline(self) -> bool:
        """Run the pipeline and return whether it succeeded; if not, say where to look, and leave the services up."""
        environment = marked(self.environment, self.home, self.supervisor.run_id, "pipeline")
        with self._pipeline_log.open("w") as log:
            self._pipeline = subprocess.Popen(  # noqa: S603 - a module of this repository
                [sys.executable, "-m", "orchestration.local.pipeline", self._began.isoformat()],
                env=environment,
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._pipeline.stdout is not None
        for line in self._pipeline.stdout:
            self.echo(f"  {line.rstrip()}")
        if self._pipeline.wait() == 0 or self._stopping.is_set():
            return True
        self._pipeline_failed = True
        last = [line for line in self._pipeline_log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        self.echo(f"touchline: the pipeline failed ({''.join(last).strip()[:300]}); see {self._pipeline_log}")
        addresses = self.settings.addresses
        self.echo(
            f"  its runs are at {addresses['Dagster'][0]}/runs, what was published is at {addresses['Matches (UI)'][0]}"
        )
        self.echo("All services stay up. Correct the cause, stop with Ctrl-C, and start again.")
        return False

    def _end_pipeline(self) -> None:
        if self._pipeline is not None and self._pipeline.poll() is None:
            self._pipeline.terminate()
            try:
                self._pipeline.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._pipeline.kill()
                self._pipeline.wait()

    def _print_addresses(self, served: bool) -> None:
        seconds = time.monotonic() - self.started_at
        self.echo("")
        for name, (address, _) in self.settings.addresses.items():
            self.echo(f"  {name:<13} {address}")
        if in_network := self.settings.ui_address_in_network:
            self.echo(f"  {'Other devices':<13} {in_network} shows the matches; there is no login")
        self.echo(f"  {'API reference':<13} {self.settings.addresses['REST API'][0]}/docs")
        self.echo("")
        first = f"First forecast served after {self._first_forecast_seconds or seconds:.0f} s"
        if not served:
            first = "No upcoming matches, so there are no forecasts"
        self.echo(
            f"{first}; all addresses answer after {seconds:.0f} s, "
            f"and all processes together use {self._memory_bytes() / 2**30:.1f} GB."
        )
        self.echo("Ctrl-C stops everything.")

    def _memory_bytes(self) -> float:
        """Memory of this process and its descendants; shared pages count once if the system reports them."""
        total = 0.0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.uss)
            except psutil.Error:
                continue
        return total

    def _describe_exit(self, exited: ServiceExit) -> str:
        last_lines = self.supervisor.tail(exited.name)
        return (
            f"{exited.name} was started again {MAX_RESTARTS} times within a minute, in vain: {exited.reason}; "
            f"its last lines:\n{last_lines}"
        )


def format_duration(seconds: float) -> str:
    """A duration as a person says it: 45 s, 18 min, 2 h 5 min."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def checks_of(settings: LocalSettings) -> dict[str, Check]:
    """The check of each service that answers over HTTP; the ends of all others are noticed anyway."""
    checks: dict[str, Check] = {
        "api": answers(f"{settings.addresses['REST API'][0]}/healthcheck/"),
        "ui": answers("".join(settings.addresses["Matches (UI)"])),
        "dagster": code_location_answers(settings.addresses["Dagster"][0]),
    }
    return (
        checks if settings.mlflow_is_external else {**checks, "mlflow": answers("".join(settings.addresses["MLflow"]))}
    )


def down(home: Path, echo: Callable[[str], None]) -> int:
    """Stop the run in a home, and end whatever a run that was killed has left; returns the exit code."""
    with contextlib.suppress(CannotStartError, psutil.Error):
        running = psutil.Process(int(read_run_settings(home)[SUPERVISOR_PID]))
        echo(f"Stopping Touchline in {home.absolute()} ...")
        running.terminate()
        running.wait(3 * GRACE_SECONDS)
    ended = end(processes_of(home), GRACE_SECONDS)
    for command in ended:
        echo(f"  ended {command}")
    echo(f"Nothing of Touchline is running in {home.absolute()}.")
    return 0


def end_leftovers(home: Path, echo: Callable[[str], None]) -> None:
    """End what a killed run left in a home whose lock this process holds: it would keep ports and databases."""
    if ended := end(processes_of(home), GRACE_SECONDS):
        echo(f"touchline: ended {len(ended)} processes that a killed run had left")


def up(settings: LocalSettings, echo: Callable[[str], None]) -> int:
    """Check the machine, then run everything until Ctrl-C; returns the exit code."""
    try:
        secure_home(settings.home, settings.lake)
        check_disk(settings.home)
        with single_instance_lock(settings.home):
            end_leftovers(settings.home, echo)
            check_ports(settings.ports)
            check_host("TOUCHLINE_UI_HOST", settings.ui_host)
            check_answers(settings.external_services)
            prepare(settings)
            run = LocalRun(settings, echo)
            own = {name: value for name, value in run.environment.items() if name.startswith(PREFIX)}
            write_run_settings(settings.home, {**own, SUPERVISOR_PID: str(os.getpid())})
            return run.run()
    except CannotStartError as error:
        echo(f"touchline: {error}")
        return 1
