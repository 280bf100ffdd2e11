"""The services of a local run, and where they keep their state, by settings alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from orchestration.local.services import LocalSettings, child_environment, prepare, services_of

OUTSIDE: dict[str, Any] = {
    "broker_url": "amqp://guest:guest@mq.example/v",
    "result_backend_url": "redis://cache.example/3",
    "lake": "s3://bucket/lake",
    "s3_endpoint": "http://s3.example:9000",
    "dagster_storage_url": "postgresql://touchline@pg.example/dagster",
}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "BROKER_URL", "RESULT_BACKEND_URL", "LAKE", "DAGSTER_STORAGE_URL"):
        monkeypatch.delenv(f"TOUCHLINE_{name}", raising=False)
    for name in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"):
        monkeypatch.delenv(name, raising=False)


def test_everything_is_embedded_by_default(tmp_path: Path) -> None:
    settings = LocalSettings(home=tmp_path, mlflow_port=5001)
    assert set(services_of(settings)) == {"valkey", "mlflow", "api", "worker", "ui", "dagster"}
    assert settings.external_services == {}
    environment = child_environment(settings)
    assert environment["TOUCHLINE_MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5001"
    assert environment["TOUCHLINE_BROKER_URL"] == f"redis://127.0.0.1:{environment['VALKEY_PORT']}/0"
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == f"{tmp_path}/mlflow/artifacts"
    prepare(settings)
    assert (tmp_path / "lake").is_dir()
    dagster = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    assert dagster["storage"]["custom"]["config"] == {"base_dir": f"{tmp_path}/dagster"}


@pytest.mark.parametrize(
    ("host", "own_address", "is_open"),
    [
        ("127.0.0.1", "http://127.0.0.1:8600", False),
        ("::1", "http://[::1]:8600", False),
        ("0.0.0.0", "http://127.0.0.1:8600", True),
        ("::", "http://[::1]:8600", True),
    ],
)
def test_viewer_listens_where_the_setting_says(tmp_path: Path, host: str, own_address: str, is_open: bool) -> None:
    """A phone reaches the viewer on an address of the network, which is printed."""
    settings = LocalSettings(home=tmp_path, ui_host=host, ui_port=8600)
    assert settings.addresses["Matches (UI)"][0] == own_address
    assert child_environment(settings)["TOUCHLINE_UI_HOST"] == host
    assert '--server.address "$TOUCHLINE_UI_HOST"' in services_of(settings)["ui"]
    in_network = settings.ui_address_in_network
    assert (in_network is not None) is is_open
    assert in_network is None or in_network.endswith(":8600")


def test_external_services_replace_embedded_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://mlflow@pg.example/mlflow")
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://bucket/mlflow")
    settings = LocalSettings(home=tmp_path, **OUTSIDE)
    assert set(services_of(settings)) == {"mlflow", "api", "worker", "ui", "dagster"}
    assert len(settings.external_services) == 4
    environment = child_environment(settings)
    assert environment["TOUCHLINE_BROKER_URL"] == OUTSIDE["broker_url"]
    assert environment["TOUCHLINE_RESULT_BACKEND_URL"] == OUTSIDE["result_backend_url"]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://mlflow@pg.example/mlflow"
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket/mlflow"
    prepare(settings)
    assert not (tmp_path / "lake").exists()


def test_procfile_does_not_override_the_settings_of_mlflow() -> None:
    command = services_of(LocalSettings())["mlflow"]
    assert "backend-store" not in command
    assert "artifacts-destination" not in command


def test_external_tracking_server_needs_no_process_and_port(tmp_path: Path) -> None:
    settings = LocalSettings(home=tmp_path, mlflow_tracking_uri="http://mlflow.example:5000")
    assert "mlflow" not in services_of(settings)
    assert "TOUCHLINE_MLFLOW_PORT" not in settings.ports
    assert child_environment(settings)["TOUCHLINE_MLFLOW_TRACKING_URI"] == "http://mlflow.example:5000"
    assert settings.addresses["MLflow"] == ("http://mlflow.example:5000", "/health")


def test_external_result_store_alone_keeps_the_embedded_broker() -> None:
    assert "valkey" in services_of(LocalSettings(result_backend_url="redis://cache.example/3"))


def test_dagster_storage_follows_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This also holds for a folder that was first used without the setting, and when the setting is removed again."""
    monkeypatch.setenv("TOUCHLINE_DAGSTER_STORAGE_URL", OUTSIDE["dagster_storage_url"])
    for settings, outside in (
        (LocalSettings(home=tmp_path, dagster_storage_url=None), False),
        (LocalSettings(home=tmp_path), True),
        (LocalSettings(home=tmp_path, dagster_storage_url=None), False),
    ):
        prepare(settings)
        config, _ = dagster_instance_config(str(tmp_path / "dagster"))
        assert list(config["storage"]) == ["postgres" if outside else "custom"]


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("127.0.0.1:5000", True),
        ("localhost:5001", True),
        ("10.evil.example", False),
        ("192.168.evil.example:5000", False),
    ],
)
def test_local_mlflow_answers_to_this_machine_alone(tmp_path: Path, host: str, is_allowed: bool) -> None:
    """A name of another site that points here is refused; MLflow's own default takes every name that begins with 10."""
    from mlflow.server.security_utils import is_allowed_host_header

    environment = child_environment(LocalSettings(home=tmp_path))
    assert is_allowed_host_header(environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","), host) is is_allowed
