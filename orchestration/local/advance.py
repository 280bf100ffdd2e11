"""`touchline advance`: move the clock of the replayed season forward, beside a running `touchline up`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from features.errors import InvalidInputError, ModelUnavailableError, NotPublishedError
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake
from features.matches import Status
from orchestration.local.disk_space import full_disk_named
from orchestration.local.pipeline import run_pipeline
from orchestration.local.services import LocalSettings
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables


@dataclass(frozen=True)
class Count:
    """Numbers of matches and scored forecasts in the lake."""

    results: int
    fixtures: int
    scored: int


def advance(local: LocalSettings, settings: PipelineSettings, weeks: int, on_progress: Callable[[str], None]) -> None:
    """Move the clock forward, bring everything up to date, and report what changed.

    Raises
    ------
    InvalidInputError
        If the clock would not move forward, or cannot be moved.
    ModelUnavailableError
        If the registry does not answer. The clock has then not moved.
    """
    if weeks < 1:
        raise InvalidInputError(f"--weeks {weeks}: the clock only moves forward; use 1 or more")
    settings = settings.model_copy(update={"mlflow_tracking_uri": local.mlflow_address})
    try:  # before the clock moves
        Registry(settings.mlflow_tracking_uri).versions()
    except ModelUnavailableError as error:
        raise ModelUnavailableError(
            f"no MLflow answers at {settings.mlflow_tracking_uri}; is it still starting?"
        ) from error
    clock, lake = Clock(settings), Lake(settings.lake_root)
    before, start = count(lake), clock.as_of()
    with full_disk_named(settings.home):
        clock.advance(weeks)
    run_pipeline(settings, on_progress)
    after, end = count(lake), clock.as_of()
    on_progress("")
    on_progress(f"The clock moved from {start:%A %d %B %Y} to {end:%A %d %B %Y}, {end:%H:%M} UTC.")
    for line in changes(before, after):
        on_progress(line)
    viewer = f"http://127.0.0.1:{local.ui_port}"
    on_progress(f"See {viewer}/?show=Results for forecasts beside results, {viewer}/model for scores, {viewer}/drift.")


def count(lake: Lake) -> Count:
    """Count what is in the lake; zeros before the first run."""
    try:
        matches = lake_tables.matches(lake)
        scored = len(lake_tables.settled_forecasts(lake))
    except NotPublishedError:
        return Count(0, 0, 0)
    results = int((matches["status"] == Status.PLAYED).sum())
    return Count(results, len(matches) - results, scored)


def changes(before: Count, after: Count) -> list[str]:
    """What changed, as sentences."""
    results, scored = after.results - before.results, after.scored - before.scored
    summary = (
        f"{_number(results, 'result')} came in, {_number(scored, 'forecast')} {'was' if scored == 1 else 'were'} scored"
    )
    if after.fixtures:
        return [f"{summary}; {_number(after.fixtures, 'match', 'matches')} still to come."]
    return [f"{summary}; the season is over. To replay it, delete the home folder of the run."]


def _number(n: int, singular: str, plural: str = "") -> str:
    return f"{n or 'no'} {singular if n == 1 else plural or singular + 's'}"
