"""Refresh, rate and simulate 1, 10 and 100 competitions: the runs that would be pods, two at a time, in two processes.

Every competition is the bundled one under another name (12 seasons, 4,560 matches). CPU seconds are printed beside wall
time, so that a busy machine does not blur the result: `python -m tests.benchmarks.scale_out 1 10 100`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

import features.competitions as catalogue
from features.io.registry import PRODUCTION, Registry
from features.io.settings import Settings
from features.io.sources import SourceResult
from features.io.sources import load as load_source
from orchestration.definitions import build
from orchestration.partitions import register_competitions
from orchestration.resources import MatchSource
from orchestration.settings import PipelineSettings
from tests.support.service_harness import train

BUNDLED = "eng-premier-league"
AT_A_TIME = 2
JOBS = ("refresh_matches", "update_ratings", "forecast_season")
pod: dict[str, Any] = {}


class Copies(MatchSource):
    """The bundled competition under any name."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._original = load_source(settings, BUNDLED)

    def load(self, competition: str, say: Callable[[str], None]) -> SourceResult:
        """The bundled matches, renamed."""
        table = self._original.matches
        ids = pd.Series([one.replace(BUNDLED, competition, 1) for one in table["match_id"]], index=table.index)
        return replace(self._original, matches=table.assign(competition=competition, match_id=ids))


def registry_in(folder: str) -> str:
    """Address of the registry, which every run that simulates a season loads the model from."""
    return f"sqlite:///{folder}/mlflow.db"


def prepare(folder: str, names: tuple[str, ...]) -> None:
    """What a process needs once: the catalogue, the definitions, an instance, and the replay compiled."""
    logging.disable(logging.WARNING)
    added = tuple(catalogue.Competition(name, name, name.split("-")[0], 1, "Europe/London") for name in names)
    catalogue.COMPETITIONS = added
    catalogue._BY_SLUG.update({one.slug: one for one in added})
    settings = PipelineSettings(home=Path(folder), competitions=names, mlflow_tracking_uri=registry_in(folder))
    definitions = build(settings)
    pod["instance"] = instance = dg.DagsterInstance.ephemeral()
    register_competitions(instance, names)
    pod["jobs"] = [definitions.resolve_job_def(name) for name in JOBS]
    pod["resources"] = {**(definitions.resources or {}), "source": Copies(settings)}
    runs(names[-1])


def runs(name: str) -> float:
    """CPU seconds of the runs of one competition."""
    cpu = time.process_time()
    for job in pod["jobs"]:
        done = job.execute_in_process(instance=pod["instance"], partition_key=name, resources=pod["resources"])
        assert done.success
    return time.process_time() - cpu


@contextmanager
def with_a_model(folder: str) -> Iterator[None]:
    """One version in production."""
    registry = Registry(registry_in(folder))
    registry.set_alias(PRODUCTION, train(registry, load_source(Settings(), BUNDLED).matches))
    yield


def measure(count: int) -> tuple[float, float]:
    """CPU and wall seconds of refreshing and rating each of `count` competitions once."""
    names = tuple(f"{_letters(number)}-league" for number in range(count + 1))  # the last one warms up
    fresh = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        with_a_model(folder),
        ProcessPoolExecutor(AT_A_TIME, fresh, prepare, (folder, names)) as pods,
    ):
        for started in [pods.submit(time.sleep, 1) for _ in range(AT_A_TIME)]:
            started.result()
        wall = time.perf_counter()
        cpu = sum(pods.map(runs, names[:-1]))
        return cpu, time.perf_counter() - wall


def _letters(number: int) -> str:
    return "x" + chr(ord("a") + number // 26) + chr(ord("a") + number % 26)


if __name__ == "__main__":
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for count in [int(one) for one in sys.argv[1:]] or [1, 10, 100]:
        cpu, wall = measure(count)
        started = len(JOBS) * count
        print(f"{count:4} competitions: {started} runs, {cpu:7.1f} CPU s ({cpu / count:.2f} each), {wall:7.1f} s wall")
