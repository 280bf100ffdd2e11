"""Prometheus gauges of the batch pipeline, read from the reports in the lake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from features.errors import CorruptArtefactError, NotPublishedError, StorageUnavailableError
from features.io import report_files
from features.io.store import Lake


class ReportCollector(Collector):
    """Collects gauges from the lake's reports, which it reads at most once per `cache_seconds`.

    A report that does not exist yet exports nothing. One that cannot be read, or whose storage is unavailable, exports
    `touchline_report_readable{report} 0` and does not affect the others.

    Parameters
    ----------
    cache_seconds : minimum time between two reads.
    clock : monotonic time in seconds.
    """

    def __init__(self, lake: Lake, cache_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: registering a collector must not read the lake."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Collect the metrics of all reports."""
        if self._clock() - self._read_at >= self._cache_seconds:
            self._families = list(self._read())
            self._read_at = self._clock()
        return self._families

    def _read(self) -> Iterator[Metric]:
        """Read every report. Unavailable storage is tried once per scrape: each failed attempt takes seconds."""
        readable = GaugeMetricFamily(
            "touchline_report_readable", "1 if the report in the lake can be read.", labels=["report"]
        )
        storage_down = False
        for report, families in self._reports().items():
            try:
                metrics = [] if storage_down else list(families())
            except NotPublishedError:
                continue
            except StorageUnavailableError:
                storage_down = True
            except Exception:  # a report of any other shape
                readable.add_metric([report], 0)
                continue
            readable.add_metric([report], float(not storage_down))
            yield from () if storage_down else metrics
        yield readable

    def _reports(self) -> dict[str, Callable[[], Iterator[Metric]]]:
        latest_week, read = cache(self._latest_drift_week), self._lake.read_json
        return {
            "freshness": lambda: _freshness(read(report_files.FRESHNESS)),
            "performance": lambda: _performance(read(report_files.PERFORMANCE)),
            "drift": lambda: _drift(report_files.drift_summary(self._lake, latest_week())),
            "review": lambda: _review(
                self._report_digest(latest_week()), read(report_files.drift_review_path(latest_week()))
            ),
            "gate": lambda: _gate(read(report_files.PROMOTION_GATE)),
            "promotions": lambda: _promotions(read(report_files.PROMOTIONS)),
        }

    def _report_digest(self, week: str) -> str | None:
        """Return the digest that a review refers to; None if the report is unreadable, and no review counts."""
        try:
            return str(report_files.drift_summary(self._lake, week)["digest"])
        except (NotPublishedError, CorruptArtefactError, KeyError, TypeError):
            return None

    def _latest_drift_week(self) -> str:
        week = report_files.latest_drift_week(self._lake)
        if week is None:
            raise NotPublishedError("no drift report is published yet")
        return week


Rows = Iterable[tuple[tuple[str, ...], float | None]]


def _gauge(name: str, documentation: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, value in rows:
        if value is not None:  # what cannot be exposed must fail here, where it concerns one report only
            family.add_metric([label.encode().decode() for label in values], float(value))
    return family


def _unix_time(timestamp: str | None) -> float | None:
    return None if timestamp is None else datetime.fromisoformat(timestamp).timestamp()


def _freshness(document: dict[str, Any]) -> Iterator[Metric]:
    written = _unix_time(document["written_at"])
    yield _gauge("touchline_pipeline_run_timestamp_seconds", "When the pipeline last finished.", (), [((), written)])
    as_of = _unix_time(document["as_of"])
    yield _gauge(
        "touchline_pipeline_as_of_timestamp_seconds", "The time that the pipeline treats as now.", (), [((), as_of)]
    )
    forecasts = document["forecasts"]
    yield _gauge("touchline_forecasts_published", "Published forecasts.", (), [((), forecasts["published"])])
    yield _gauge("touchline_forecasts_settled", "Scored forecasts.", (), [((), forecasts["settled"])])
    published = _unix_time(forecasts["last_published_at"])
    help_text = "Publication time of the newest forecast."
    yield _gauge("touchline_forecast_published_timestamp_seconds", help_text, (), [((), published)])
    for key, name, help_text in (
        ("results", "touchline_results_matches", "Results in the lake."),
        ("fixtures", "touchline_fixtures_matches", "Fixtures in the lake."),
        ("overdue", "touchline_results_overdue", "Scheduled matches without a result a day after kick-off."),
        ("without_forecast", "touchline_fixtures_without_forecast", "Fixtures of the next week without a forecast."),
        ("stale", "touchline_forecasts_stale", "Fixtures of the next week with an outdated forecast."),
        (
            "unlisted",
            "touchline_fixtures_missing",
            "Matches missing from the current season while no fixture is announced.",
        ),
        ("quarantined", "touchline_quarantined_rows", "Quarantined rows of the source."),
    ):
        rows = [((slug,), competition[key]) for slug, competition in document["competitions"].items()]
        yield _gauge(name, help_text, ("competition",), rows)
    last = [((slug,), _unix_time(competition["last_result"])) for slug, competition in document["competitions"].items()]
    yield _gauge("touchline_result_timestamp_seconds", "Kick-off of the newest result.", ("competition",), last)


def _performance(document: dict[str, Any]) -> Iterator[Metric]:
    # The number of versions grows without bound, so scores by version are not exported.
    groups = [group for group in document["groups"] if group["model_version"] == "all"]
    group_labels = ("competition", "window")
    labelled_groups = [((group["competition"], group["window"]), group) for group in groups]
    counts = [(labels, group["matches"]) for labels, group in labelled_groups]
    yield _gauge("touchline_scored_matches", "Settled matches behind the scores.", group_labels, counts)
    scores = [
        ((*labels, forecaster, score), value)
        for labels, group in labelled_groups
        for forecaster, summary in group["scores"].items()
        for score, value in (summary or {}).items()
    ]
    yield _gauge("touchline_score_mean", "Mean score.", (*group_labels, "forecaster", "score"), scores)
    skill = [
        ((*labels, name), comparison["skill"])
        for labels, group in labelled_groups
        for name, comparison in group["against"].items()
    ]
    help_text = "1 - RPS of the model / RPS of the baseline."
    yield _gauge("touchline_skill_score", help_text, (*group_labels, "reference"), skill)
    differences = [
        ((*labels, name, bound), comparison[bound])
        for labels, group in labelled_groups
        for name, comparison in group["against"].items()
        for bound in ("mean", "low", "high")
    ]
    help_text = "Paired RPS difference, model - baseline, with its 95 % interval; negative if the model is better."
    yield _gauge("touchline_rps_difference", help_text, (*group_labels, "reference", "bound"), differences)
    surprises = [
        ((*labels, bound), group["surprise"][bound])
        for labels, group in labelled_groups
        if group.get("surprise") is not None  # reports of earlier releases do not have it, nor moving windows
        for bound in ("mean", "low", "high")
    ]
    help_text = "Realised minus expected RPS of the model, with its 95 % bounds; above 0 if results surprise it."
    yield _gauge("touchline_surprise_rps", help_text, (*group_labels, "bound"), surprises)
    for key, name, help_text in (
        ("error", "touchline_calibration_error_ratio", "Expected calibration error."),
        ("limit", "touchline_calibration_limit_ratio", "Calibration error that a perfect model exceeds 1 time in 20."),
    ):
        values = [(labels, group["calibration"][key]) for labels, group in labelled_groups]
        yield _gauge(name, help_text, group_labels, values)


def _drift(document: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("touchline_drift_share_ratio", "Share of drifted columns.", (), [((), document["share"])])
    yield _gauge("touchline_drift_window_matches", "Matches in the drift window.", (), [((), document["matches"])])
    week = _unix_time(f"{document['week']}T00:00:00+00:00")
    yield _gauge("touchline_drift_week_timestamp_seconds", "Monday of the newest drift report.", (), [((), week)])
    states = [((state,), float(state == document["state"])) for state in ("stable", "drift", "too_few_matches")]
    yield _gauge("touchline_drift_state", "1 for the state of the newest drift report.", ("state",), states)
    drifted = [((column["column"],), float(column["drifted"])) for column in document["columns"]]
    yield _gauge("touchline_drift_column_drifted", "1 if the column drifted.", ("column",), drifted)
    p_values = [((column["column"],), column["p_value"]) for column in document["columns"]]
    yield _gauge("touchline_drift_p_value", "p-value of the column's drift test.", ("column",), p_values)


def _review(report: str | None, document: dict[str, Any]) -> Iterator[Metric]:
    # A review of an earlier version of the report must not stop the alert on this version.
    at = _unix_time(document["at"]) if document["report"] == report else None
    yield _gauge(
        "touchline_drift_review_timestamp_seconds", "When the newest drift report was reviewed.", (), [((), at)]
    )


def _gate(document: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge(
        "touchline_promotion_gate_passed",
        "1 if the candidate passed the promotion gate.",
        (),
        [((), float(document["open"]))],
    )
    conditions = [((condition["name"],), float(condition["open"])) for condition in document["conditions"]]
    yield _gauge("touchline_promotion_gate_condition_passed", "1 if the condition passed.", ("condition",), conditions)
    field_of_alias = {"staging": "candidate", "production": "production", "previous": "previous"}
    aliases = [((alias,), document.get(field)) for alias, field in field_of_alias.items()]
    yield _gauge("touchline_alias_version", "Registry version with the alias.", ("alias",), aliases)
    if "undecided_production" in document:  # reports of earlier releases do not have it
        undecided = float(document["undecided_production"] is not None)
        help_text = "1 if no decision stands behind the version in production."
        yield _gauge("touchline_production_undecided", help_text, (), [((), undecided)])
    waiting = _unix_time(document["waiting_since"])
    help_text = "Time since which only a person's approval is missing."
    yield _gauge("touchline_promotion_waiting_timestamp_seconds", help_text, (), [((), waiting)])


def _promotions(document: dict[str, Any]) -> Iterator[Metric]:
    history = document["promotions"]
    actions = sorted({change["action"] for change in history})
    counts = [((action,), float(sum(change["action"] == action for change in history))) for action in actions]
    yield _gauge("touchline_promotions", "Changes of the version in production.", ("action",), counts)
    last = max((_unix_time(change["at"]) or 0.0 for change in history), default=None)
    yield _gauge("touchline_promotion_timestamp_seconds", "When production last changed.", (), [((), last)])
