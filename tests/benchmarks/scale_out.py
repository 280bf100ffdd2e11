"""Refresh 1, 10 and 100 competitions, each as the run that would be a pod, one after the other in this process.

Every competition is the bundled one under another name (12 seasons, 4,560 matches). CPU seconds are printed beside wall
time, so that a busy machine does not blur the result: `python tests/benchmarks/scale_out.py 1 10 100`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from dataclasses import replace

import dagster as dg
import pandas as pd

import features.competitions as catalogue
from features.io.settings import Settings
from features.io.sources import SourceResult
from features.io.sources import load as load_source
from orchestration.definitions import build
from orchestration.partitions import register_competitions
from orchestration.resources import MatchSource
from orchestration.settings import PipelineSettings

BUNDLED = "eng-premier-league"


class Copies(MatchSource):
    """The bundled competition under any name."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._original = load_source(settings, BUNDLED)

    def load(self, competition: str) -> SourceResult:
        """The bundled matches, renamed."""
        table = self._original.matches
        ids = pd.Series([one.replace(BUNDLED, competition, 1) for one in table["match_id"]], index=table.index)
        return replace(self._original, matches=table.assign(competition=competition, match_id=ids))


def measure(count: int) -> tuple[float, float]:
    """CPU and wall seconds of one refresh of each of `count` competitions."""
    names = tuple(f"{_letters(number)}-league" for number in range(count))
    added = tuple(catalogue.Competition(name, name, name.split("-")[0], 1, "Europe/London") for name in names)
    catalogue.CATALOGUE = added
    catalogue._BY_SLUG.update({one.slug: one for one in added})
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as instance:
        settings = PipelineSettings(home=folder, competitions=names)  # type: ignore[arg-type]
        register_competitions(instance, names)
        definitions = build(settings)
        job = definitions.resolve_job_def("refresh_matches")
        resources = {**(definitions.resources or {}), "source": Copies(settings)}
        cpu, wall = time.process_time(), time.perf_counter()
        for name in names:
            done = job.execute_in_process(instance=instance, partition_key=name, resources=resources)
            assert done.success
        return time.process_time() - cpu, time.perf_counter() - wall


def _letters(number: int) -> str:
    return "x" + chr(ord("a") + number // 26) + chr(ord("a") + number % 26)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    measure(1)  # compiles the replay
    for count in [int(one) for one in sys.argv[1:]] or [1, 10, 100]:
        cpu, wall = measure(count)
        print(f"{count:4} competitions: {count} runs, {cpu:7.1f} CPU s ({cpu / count:.2f} each), {wall:7.1f} s wall")
