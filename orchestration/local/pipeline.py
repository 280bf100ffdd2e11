"""Run the whole pipeline once, in this process, on the Dagster instance of a local run.

Command: `python -m orchestration.local.pipeline`. An argument is the time before which no process of this home lived.

A job runs only if its inputs have changed. On the bundled data, a second start therefore takes 3 s of CPU time; running
every job except the training would take 43 s. A weekly job covers every week that exists, so that Dagster's own
automation finds nothing left to do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import ValidationError
from pydantic_settings import SettingsError

from features.errors import CorruptArtefactError, InvalidInputError, NotPublishedError, TouchlineError
from features.io import report_files
from features.io.clock import Clock
from features.io.installed_recipes import InstalledRecipes
from features.io.registry import PRODUCTION, STAGING, Registry
from features.io.settings import validation_messages
from features.io.store import Lake, week_of
from features.matches import SCHEMA, as_known_at, conform
from monitoring.settlement import settle
from orchestration._dagster_internals import RUN_LOCATION
from orchestration.definitions import build
from orchestration.local.disk_space import full_disk_named
from orchestration.local.instance import prepare_instance
from orchestration.local.lost_runs import end_lost_runs
from orchestration.partitions import RANGE_END, RANGE_START, register_competitions, weeks_from
from orchestration.promotion.retraining import FIRST_TRAINING_CONFIG
from orchestration.resources import MatchSource
from orchestration.settings import PipelineSettings
from orchestration.steps import input_fingerprints, lake_tables
from orchestration.steps.baselines import plain_elo


class Pipeline:
    """Decides which tables and reports are outdated and runs their jobs."""

    def __init__(
        self, settings: PipelineSettings, instance: dg.DagsterInstance, on_progress: Callable[[str], None]
    ) -> None:
        self._settings, self._instance, self._on_progress = settings, instance, on_progress
        self._lake, self._clock = Lake(settings.lake_root), Clock(settings)
        self._registry = Registry(settings.mlflow_tracking_uri, InstalledRecipes(settings.recipes))
        self._source = MatchSource(settings)
        self._definitions, self._first = build(settings), settings.first_published
        self._ran = False

    def run(self) -> None:
        """Bring everything up to date with the source and the clock."""
        as_of = self._clock.as_of()
        if week_of(as_of) < self._first:
            raise InvalidInputError(
                f"TOUCHLINE_AS_OF={as_of:%Y-%m-%d} is before {self._first}, the first published week; "
                "unset TOUCHLINE_FIRST_PUBLISHED_WEEK, or set it to an earlier one"
            )
        self._on_progress(f"the clock is set to {as_of:%A %Y-%m-%d %H:%M} UTC")
        register_competitions(self._instance, self._settings.competitions)
        for competition in self._settings.competitions:
            if self._source_differs(competition, as_of):
                self._job("refresh_matches", f"matches of {competition}", partition_key=competition)
        for competition in self._settings.competitions:  # after all refreshes, as a country's tiers are rated together
            if not input_fingerprints.ratings_current(self._lake, competition):
                self._job("update_ratings", f"ratings of {competition}", partition_key=competition)
        if self._registry.by_alias(PRODUCTION) is None:
            self._job("train_model", "first model, trained and evaluated", run_config=FIRST_TRAINING_CONFIG)
        self._weekly("publish_forecasts", "forecasts", self._first_stale_week(as_of))
        for competition in self._settings.competitions:
            if self._ran or self._lake.table_fingerprint("season_forecast", competition) is None:
                self._job("forecast_season", f"final table of {competition}", partition_key=competition)
        if self._ran or self._unsettled(as_of):
            self._weekly("settle_forecasts", "scores of played matches", self._first)
        if self._ran or self._lake.fingerprint(report_files.PERFORMANCE) is None:
            self._job("evaluate_forecasts", "performance and freshness")
        for week in self._weeks_without_drift_report(as_of):
            self._job("report_drift", f"drift of the week {week}", partition_key=week)
        if self._ran or self._has_no_shadow_forecasts():
            self._weekly("forecast_shadow", "shadow forecasts of the candidate", self._first)
        if self._ran or self._lake.fingerprint(report_files.PROMOTION_GATE) is None:
            self._job("evaluate_candidate", "promotion gate")

    def _weekly(self, job: str, label: str, first: str | None) -> None:
        """Run a job for every week from `first` on; does nothing if `first` is None."""
        if first is not None:
            last = weeks_from(self._first).get_last_partition_key() or first
            self._job(job, f"{label}, from the week of {first}", tags={RANGE_START: first, RANGE_END: last})

    def _source_differs(self, competition: str, as_of: datetime) -> bool:
        """Whether the source and the lake differ."""
        try:
            published = conform(self._lake.read_table("matches", competition, schema=SCHEMA))
        except (NotPublishedError, CorruptArtefactError):
            return True
        loaded = self._source.load(competition, self._on_progress).matches
        return not published.equals(as_known_at(loaded, as_of))

    def _first_stale_week(self, as_of: datetime) -> str | None:
        """The first week that production may forecast if any forecast is missing or outdated; otherwise None.

        Weeks up to the forecast horizon must have forecasts. Those of the current and later weeks must come from the
        current matches and model. Past weeks are forecast in a replay only.
        """
        production = self._registry.by_alias(PRODUCTION)
        if production is None:
            return None
        published, inputs = set(self._lake.partitions("forecasts")), input_fingerprints.forecast_inputs(self._lake)
        current = input_fingerprints.match_fingerprints(self._lake, self._lake.partitions("matches"))
        first = max(self._first, week_of(production.trained_through + timedelta(weeks=1)))
        last = week_of(as_of + timedelta(weeks=self._settings.forecast_horizon_weeks))
        weeks = [week_of(day) for day in pd.date_range(first, last, freq="7D").date]
        due = [week for week in weeks if self._clock.replaying or week >= week_of(as_of)]
        fresh = {week for week in published if week < week_of(as_of) or inputs.get(week) == current}
        stale = any(week not in fresh or self._is_by_other_version(week, as_of, production.version) for week in due)
        return due[0] if stale else None

    def _unsettled(self, as_of: datetime) -> bool:
        """Whether a played match can be settled, or a week that has begun has no table of settled forecasts."""
        started = {week for week in self._lake.partitions("forecasts") if week <= week_of(as_of)}
        if started - set(self._lake.partitions("settled_forecasts")):
            return True
        forecasts = lake_tables.read_weeks(self._lake, "forecasts")
        settled = set(lake_tables.settled_forecasts(self._lake)["match_id"])
        unsettled = forecasts[~forecasts["match_id"].isin(settled)]
        table = lake_tables.matches(self._lake)
        elo = plain_elo(table, lake_tables.features(self._lake), set())
        return not settle(unsettled, table, elo, as_of).settled.empty

    def _weeks_without_drift_report(self, as_of: datetime) -> list[str]:
        """Weeks that ended since the last drift report; only the latest one if there is no report yet."""
        last = week_of(as_of - timedelta(weeks=1))
        ended = [week_of(day) for day in pd.date_range(self._first, last, freq="7D").date]
        reported = set(report_files.drift_weeks(self._lake)) & set(ended)
        return [week for week in ended if week > max(reported)] if reported else ended[-1:]

    def _has_no_shadow_forecasts(self) -> bool:
        """Whether the candidate has made no shadow forecasts yet."""
        candidate, production = self._registry.by_alias(STAGING), self._registry.by_alias(PRODUCTION)
        if candidate is None or production is None or candidate.version == production.version:
            return False
        return candidate.version not in set(lake_tables.read_weeks(self._lake, "shadow_forecasts")["model_version"])

    def _is_by_other_version(self, week: str, as_of: datetime, version: int) -> bool:
        """Whether an upcoming match of a week is forecast by a version other than `version`."""
        if week < week_of(as_of):
            return False
        rows = self._lake.read_table("forecasts", week)
        return bool((rows.loc[rows["kick_off"] > as_of, "model_version"] != version).any())

    def _job(
        self,
        name: str,
        label: str,
        partition_key: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_config: Mapping[str, Any] | None = None,
    ) -> None:
        self._ran = True
        with self._timed(label):
            job = self._definitions.resolve_job_def(name)
            result = job.execute_in_process(
                instance=self._instance,
                partition_key=partition_key,
                tags={**RUN_LOCATION, **(tags or {})},
                run_config=run_config,
                raise_on_error=False,
            )
        if not result.success:
            failures = [event for event in result.all_events if event.is_step_failure]
            cause = failures[0].step_failure_data.error if failures else None
            raise TouchlineError(f"{name} failed: {_root_message(cause)}")

    @contextmanager
    def _timed(self, label: str) -> Iterator[None]:
        started_at = time.monotonic()
        self._on_progress(f"{label} ...")
        yield
        self._on_progress(f"{label}: {time.monotonic() - started_at:.1f} s")


def _root_message(error: object) -> str:
    """First line of the innermost cause of a failed step."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]  # by `getattr`: not every error has one
    return str(getattr(error, "message", "no reason given")).strip().splitlines()[0]


def run_pipeline(
    settings: PipelineSettings, on_progress: Callable[[str], None], lost_before: datetime | None = None
) -> None:
    """Run the pipeline on the Dagster instance under `settings.home`, whose UI shows the runs.

    `lost_before` is the time before which no process lived: runs in progress from then are ended first.
    """
    with (
        full_disk_named(settings.home),
        dg.DagsterInstance.from_config(str(prepare_instance(settings))) as instance,
    ):
        if lost_before is not None and not settings.dagster_storage_url:  # others may share a database
            for job in end_lost_runs(instance, lost_before):
                on_progress(f"a run of {job} was ended: its process is gone")
        Pipeline(settings, instance, on_progress).run()


def main(arguments: Sequence[str] = ()) -> int:
    """Run the pipeline and print its progress; 0 when everything is up to date.

    The only argument, an ISO time, is optional: runs in progress from before it are ended, because no process lived.
    """

    def echo(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    started_at = time.monotonic()
    lost_before = datetime.fromisoformat(arguments[0]) if arguments else None
    try:
        run_pipeline(PipelineSettings(), echo, lost_before)
    except TouchlineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (ValidationError, SettingsError) as error:
        sys.stderr.write("\n".join(validation_messages(error)) + "\n")
        return 2
    echo(f"everything is up to date after {time.monotonic() - started_at:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
