"""`touchline advance`: the replayed season a few weeks on, beside a running `touchline up`, and what that changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from features.errors import InvalidInputError, ModelUnavailableError, NotPublishedError
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake
from features.matches import Status
from orchestration.local.pipeline import run_pipeline
from orchestration.local.stack import LocalSettings
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables


@dataclass(frozen=True)
class Count:
    """What is in the lake."""

    results: int
    fixtures: int
    scored: int


def advance(weeks: int, say: Callable[[str], None]) -> None:
    """Move the clock on, bring everything up to date, tell what came of it.

    Raises
    ------
    InvalidInputError
        If time would not move forward, or the moment cannot be moved from here.
    ModelUnavailableError
        If no registry answers; the clock has not moved then.
    """
    if weeks < 1:
        raise InvalidInputError(f"--weeks {weeks}: time moves forward only; give 1 or more")
    local = LocalSettings()
    settings = PipelineSettings().model_copy(update={"mlflow_tracking_uri": local.mlflow_address})
    try:  # before the clock moves
        Registry(settings.mlflow_tracking_uri).versions()
    except ModelUnavailableError as error:
        raise ModelUnavailableError(
            f"no MLflow answers at {settings.mlflow_tracking_uri}; is it still starting?"
        ) from error
    clock, lake = Clock(settings), Lake(settings.lake_root)
    before, stood = count(lake), clock.as_of()
    clock.advance(weeks)
    run_pipeline(settings, say)
    after, stands = count(lake), clock.as_of()
    say("")
    say(f"Moved on from {stood:%A %d %B %Y} to {stands:%A %d %B %Y}, {stands:%H:%M} UTC.")
    for line in changes(before, after):
        say(line)
    viewer = f"http://127.0.0.1:{local.ui_port}"
    say(f"See {viewer}/?show=Results for forecasts beside results, {viewer}/model for scores, {viewer}/drift.")


def count(lake: Lake) -> Count:
    """What is in the lake now; nothing before the first run."""
    try:
        matches = lake_tables.matches(lake)
        scored = len(lake_tables.settled_forecasts(lake))
    except NotPublishedError:
        return Count(0, 0, 0)
    results = int((matches["status"] == Status.PLAYED).sum())
    return Count(results, len(matches) - results, scored)


def changes(before: Count, after: Count) -> list[str]:
    """What came in, as sentences."""
    results, scored = after.results - before.results, after.scored - before.scored
    said = (
        f"{_number(results, 'result')} came in, {_number(scored, 'forecast')} {'was' if scored == 1 else 'were'} scored"
    )
    if after.fixtures:
        return [f"{said}; {_number(after.fixtures, 'match', 'matches')} still to come."]
    return [f"{said}; the season is over. Delete the folder of the run to replay it again."]


def _number(n: int, one: str, several: str = "") -> str:
    return f"{n or 'no'} {one if n == 1 else several or one + 's'}"
