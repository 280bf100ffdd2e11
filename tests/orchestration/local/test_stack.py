"""What a local run starts, and where it tells its services to keep things, by settings alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from orchestration.local import stack
from orchestration.local.stack import LocalRun, LocalSettings, child_environment, prepare, services_of, spell

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


def test_alone_everything_is_embedded(tmp_path: Path) -> None:
    settings = LocalSettings(home=tmp_path, mlflow_port=5001)
    assert set(services_of(settings)) == {"valkey", "mlflow", "api", "worker", "ui", "dagster"}
    assert settings.outside == {}
    told = child_environment(settings)
    assert told["TOUCHLINE_MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5001"
    assert told["TOUCHLINE_BROKER_URL"] == f"redis://127.0.0.1:{told['VALKEY_PORT']}/0"
    assert told["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert told["MLFLOW_ARTIFACTS_DESTINATION"] == f"{tmp_path}/mlflow/artifacts"
    prepare(settings)
    assert (tmp_path / "lake").is_dir()
    assert "storage" not in yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())


def test_what_is_named_is_used_and_nothing_is_embedded_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://mlflow@pg.example/mlflow")
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://bucket/mlflow")
    settings = LocalSettings(home=tmp_path, **OUTSIDE)
    assert set(services_of(settings)) == {"mlflow", "api", "worker", "ui", "dagster"}
    assert len(settings.outside) == 4
    told = child_environment(settings)
    assert told["TOUCHLINE_BROKER_URL"] == OUTSIDE["broker_url"]
    assert told["TOUCHLINE_RESULT_BACKEND_URL"] == OUTSIDE["result_backend_url"]
    assert told["MLFLOW_BACKEND_STORE_URI"] == "postgresql://mlflow@pg.example/mlflow"
    assert told["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket/mlflow"
    prepare(settings)
    assert not (tmp_path / "lake").exists()


def test_the_procfile_does_not_take_back_what_was_named() -> None:
    command = services_of(LocalSettings())["mlflow"]
    assert "backend-store" not in command
    assert "artifacts-destination" not in command


def test_a_tracking_server_that_was_named_is_not_started_and_needs_no_port(tmp_path: Path) -> None:
    settings = LocalSettings(home=tmp_path, mlflow_tracking_uri="http://mlflow.example:5000")
    assert "mlflow" not in services_of(settings)
    assert "TOUCHLINE_MLFLOW_PORT" not in settings.ports
    assert child_environment(settings)["TOUCHLINE_MLFLOW_TRACKING_URI"] == "http://mlflow.example:5000"
    assert settings.addresses["MLflow"] == ("http://mlflow.example:5000", "/health")


@pytest.mark.parametrize(
    ("exit_code", "said"), [(None, ["  forecasts are served by now: http://127.0.0.1:8501"]), (0, [])]
)
def test_the_viewer_is_named_when_forecasts_are_served_while_the_pipeline_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int | None, said: list[str]
) -> None:
    heard: list[str] = []
    run = LocalRun(LocalSettings(home=tmp_path), heard.append)
    assert (tmp_path / "logs" / "api.log").read_text() == "", "a service that has said nothing yet has a log"
    run._pipeline = SimpleNamespace(poll=lambda: exit_code)
    monkeypatch.setattr(stack, "ask", lambda _: None)
    run._announce_first_forecast()
    run.logs.close()
    assert heard == said


def test_a_second_ctrl_c_while_the_first_one_is_answered_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    run = LocalRun(LocalSettings(home=tmp_path), heard.append)
    start = run._stopper.start

    def interrupted() -> None:
        run._on_stop_signal()  # the signal's handler runs wherever the main thread is
        start()

    monkeypatch.setattr(run._stopper, "start", interrupted)
    run._stopping.set()
    run._on_stop_signal()
    run._stopper.join(20)
    run.logs.close()
    assert heard == ["Stopping ..."]


def test_how_long_it_ran_is_said_as_a_person_says_it() -> None:
    assert [spell(seconds) for seconds in (7.4, 64, 1071, 7512)] == ["7 s", "1 min", "18 min", "2 h 5 min"]


def test_results_alone_outside_leave_the_embedded_server_for_the_broker() -> None:
    assert "valkey" in services_of(LocalSettings(result_backend_url="redis://cache.example/3"))


def test_dagster_keeps_its_runs_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the folder was first used without them, and back again."""
    monkeypatch.setenv("TOUCHLINE_DAGSTER_STORAGE_URL", OUTSIDE["dagster_storage_url"])
    for settings, outside in (
        (LocalSettings(home=tmp_path, dagster_storage_url=None), False),
        (LocalSettings(home=tmp_path), True),
        (LocalSettings(home=tmp_path, dagster_storage_url=None), False),
    ):
        prepare(settings)
        config, _ = dagster_instance_config(str(tmp_path / "dagster"))
        assert ("storage" in config) is outside
