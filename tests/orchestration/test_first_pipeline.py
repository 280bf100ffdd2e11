"""An installation that is told to runs its first pipeline by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from features.io.registry import PRODUCTION, Registry
from features.io.sources.bundled import COMPETITION
from features.io.store import Lake
from orchestration.definitions import build
from orchestration.partitions import competitions
from orchestration.sensors import first_refresh_sensor, first_training_sensor, new_results_sensor
from orchestration.settings import PipelineSettings


class Daemon:
    """Asks the sensors, and runs what they request."""

    def __init__(self, settings: PipelineSettings, instance: dg.DagsterInstance) -> None:
        self.instance, self.lake = instance, Lake(settings.lake_root)
        self.registry = Registry(settings.mlflow_tracking_uri)
        self._definitions = build(settings)
        self._resources = {"registry": self.registry, "lake": self.lake, "settings": settings}

    def requests(self, sensor: Callable[..., Any], *resources: str) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            instance=self.instance, resources={name: self._resources[name] for name in resources}
        )
        answer = sensor(context)
        answers = list(answer) if isinstance(answer, Iterator | list) else [answer]
        return [request for request in answers if isinstance(request, dg.RunRequest)]

    def first_refreshes(self) -> list[dg.RunRequest]:
        return self.requests(first_refresh_sensor, "lake", "settings")

    def first_trainings(self) -> list[dg.RunRequest]:
        return self.requests(first_training_sensor, "registry", "lake", "settings")

    def run(self, job: str, request: dg.RunRequest) -> None:
        definition = self._definitions.resolve_job_def(job)
        assert definition.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            run_config=request.run_config,
            tags=dict(request.tags),
        ).success


@pytest.fixture
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    settings = PipelineSettings(
        home=tmp_path, mlflow_tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", run_first_pipeline=request.param
    )
    with dg.instance_for_test() as instance:
        yield Daemon(settings, instance)


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [True], indirect=True)
def test_an_empty_installation_is_refreshed_rated_and_trained_once(daemon: Daemon) -> None:
    assert daemon.first_trainings() == []
    (refresh,) = daemon.first_refreshes()
    assert refresh.partition_key == COMPETITION
    daemon.run("refresh_matches", refresh)
    assert daemon.first_refreshes() == []
    assert daemon.first_trainings() == [], "there are no ratings yet"
    (rating,) = daemon.requests(new_results_sensor, "lake")
    daemon.run("update_ratings", rating)
    (training,) = daemon.first_trainings()
    daemon.run("train_model", training)
    production = daemon.registry.by_alias(PRODUCTION)
    assert production is not None
    assert (production.version, production.tags["trained_because"]) == (1, "no version is in production yet")
    assert daemon.first_refreshes() == daemon.first_trainings() == []


@pytest.mark.parametrize("daemon", [True], indirect=True)
def test_a_refresh_that_is_in_progress_or_has_just_failed_is_not_requested_again(daemon: Daemon) -> None:
    (refresh,) = daemon.first_refreshes()
    job = build(PipelineSettings()).resolve_job_def("refresh_matches")
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE):
        run = daemon.instance.create_run_for_job(job, tags=dict(refresh.tags), status=status)
        assert daemon.first_refreshes() == [], status
        daemon.instance.delete_run(run.run_id)
    assert len(daemon.first_refreshes()) == 1


@pytest.mark.parametrize("daemon", [False], indirect=True)
def test_by_default_the_competitions_are_registered_and_nothing_is_launched(daemon: Daemon) -> None:
    assert daemon.first_refreshes() == []
    assert daemon.first_trainings() == []
    assert daemon.instance.get_dynamic_partitions(competitions.name or "") == [COMPETITION]
