"""`touchline up`: start every service of the Procfile on this machine, and stop them all at the end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil

from features.io.setting_names import PREFIX
from orchestration.local.preflight import (
    CannotStartError,
    check_answers,
    check_disk,
    check_ports,
    single_instance_lock,
    write_run_settings,
)
from orchestration.local.services import ROOT, LocalSettings, child_environment, prepare, services_of
from orchestration.local.smoke import first_forecast, probe, wait_for
from orchestration.local.supervisor import ServiceExit, Supervisor

GRACE_SECONDS = 15
"""How long a service may take to finish its work before it is killed."""


class LocalRun:
    """One `touchline up`, from the first printed line to the end of the last process."""

    def __init__(self, settings: LocalSettings, echo: Callable[[str], None]) -> None:
        self.settings, self.echo = settings, echo
        self.home = settings.home.absolute()
        self.environment = child_environment(settings)
        self.started_at = time.monotonic()
        self.failure: str | None = None
        self._first_forecast_seconds: float | None = None
        self._stopping = threading.Event()
        self._pipeline: subprocess.Popen[str] | None = None
        self.supervisor = Supervisor(
            services_of(settings), self.environment, ROOT, self.home / "logs", grace_seconds=GRACE_SECONDS
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
        return 0

    def _on_stopping(self) -> None:
        self._stopping.set()
        if self.supervisor.signalled:
            self.echo("Stopping ...")

    def _start_up_and_announce(self) -> None:
        """Run the pipeline, wait until every service answers, print the addresses. Runs beside the services."""
        try:
            # Dagster too: it creates its database when it starts, and two processes must not create it at once.
            for name in ("MLflow", "Dagster"):
                wait_for(name, *self.settings.addresses[name], self._stopping)
            threading.Thread(target=self._announce_first_forecast, daemon=True).start()
            self._run_pipeline()
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

    def _run_pipeline(self) -> None:
        log = self.home / "logs" / "pipeline.log"
        self._pipeline = subprocess.Popen(
            [sys.executable, "-m", "orchestration.local.pipeline"],
            env=self.environment,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            start_new_session=True,
        )
        assert self._pipeline.stdout is not None
        for line in self._pipeline.stdout:
            self.echo(f"  {line.rstrip()}")
        if self._pipeline.wait() != 0 and not self._stopping.is_set():
            last = [line for line in log.read_text().splitlines() if line.strip()][-1:]
            raise CannotStartError(f"the pipeline failed ({''.join(last).strip()[:300]}); see {log.name} for details")

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
        return f"{exited.name} stopped by itself (exit code {exited.exit_code}); its last lines:\n{last_lines}"


def format_duration(seconds: float) -> str:
    """A duration as a person says it: 45 s, 18 min, 2 h 5 min."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def up(settings: LocalSettings, echo: Callable[[str], None]) -> int:
    """Check the machine, then run everything until Ctrl-C; returns the exit code."""
    try:
        check_disk(settings.home)
        with single_instance_lock(settings.home):
            check_ports(settings.ports)
            check_answers(settings.external_services)
            prepare(settings)
            run = LocalRun(settings, echo)
            own = {name: value for name, value in run.environment.items() if name.startswith(PREFIX)}
            write_run_settings(settings.home, own)
            return run.run()
    except CannotStartError as error:
        echo(f"touchline: {error}")
        return 1
