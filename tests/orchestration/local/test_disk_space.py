"""The disk of a local run becomes full while the pipeline runs."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from features.errors import TouchlineError
from orchestration.local.disk_space import full_disk_named, is_disk_full
from orchestration.local.instance import prepare_instance
from orchestration.local.pipeline import main
from orchestration.settings import PipelineSettings
from tests.support.small_disk import fill, small_disk


@dg.op
def step() -> None: ...


@dg.job
def work() -> None:
    step()


@pytest.mark.medium
def test_a_full_disk_is_one_sentence_of_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dagster's databases are on it, and MLflow's is not."""
    with small_disk(tmp_path / "home", kilobytes=6_000) as home:
        monkeypatch.setenv("TOUCHLINE_HOME", str(home))
        monkeypatch.setenv("TOUCHLINE_MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
        prepare_instance(PipelineSettings())
        fill(home)
        assert main() == 1
        assert capsys.readouterr().err == (
            f"the disk of {home} is full; what was published stays. Make room and run it again\n"
        )


@pytest.mark.medium
def test_dagster_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """A run fails whether no run can be created or its history has no room, and the next one succeeds."""
    with small_disk(tmp_path / "home", kilobytes=6_000) as home:
        settings = PipelineSettings(home=home)
        with dg.DagsterInstance.from_config(str(prepare_instance(settings))) as instance:
            assert work.execute_in_process(instance=instance).success
            for free_bytes in (0, 40_000):
                filler = fill(home, free_bytes)
                with pytest.raises(TouchlineError, match="is full"), full_disk_named(home):
                    work.execute_in_process(instance=instance)
                filler.unlink()
                assert work.execute_in_process(instance=instance).success
            statuses = {run.status for run in instance.get_runs()}
            assert statuses == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.NOT_STARTED}  # none is in progress


def test_other_errors_pass() -> None:
    assert not is_disk_full(FileNotFoundError(2, "No such file"))
    with pytest.raises(FileNotFoundError), full_disk_named(Path()):
        raise FileNotFoundError(2, "No such file")
