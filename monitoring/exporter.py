"""Figures of the batch side for Prometheus: what the reports in the lake say, as gauges."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from features.errors import CorruptArtefactError, NotPublishedError, StorageUnavailableError
from features.io import reports
from features.io.store import Lake


class ReportCollector(Collector):
    """Figures of the batch side, read from the lake's documents at most once in `cache_seconds`.

    A document that is not there yet exports nothing; one that cannot be read exports
    `touchline_report_readable{report} 0` and leaves the others alone, as does storage that is away.
    """

    def __init__(self, lake: Lake, cache_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before a scrape, and registering must not read the lake."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Metric families of all documents."""
        if self._clock() - self._read_at >= self._cache_seconds:
            self._families = list(self._read())
            self._read_at = self._clock()
        return self._families

    def _read(self) -> Iterator[Metric]:
        """Figures of every report; storage that is away is asked once, since each answer that fails takes seconds."""
        readable = GaugeMetricFamily(
            "touchline_report_readable", "1 if the report in the lake can be read.", labels=["report"]
        )
        away = False
        for report, families in self._reports().items():
            try:
                found = [] if away else list(families())
            except NotPublishedError:
                continue
            except StorageUnavailableError:
                away = True
            except (CorruptArtefactError, KeyError, TypeError, ValueError, AttributeError):
                readable.add_metric([report], 0)
                continue
            readable.add_metric([report], float(not away))
            yield from () if away else found
        yield readable

    def _reports(self) -> dict[str, Callable[[], Iterator[Metric]]]:
        latest_week, read = cache(self._latest_drift_week), self._lake.read_json
        return {
            "freshness": lambda: _freshness(read(reports.FRESHNESS)),
            "performance": lambda: _performance(read(reports.PERFORMANCE)),
            "drift": lambda: _drift(reports.drift_summary(self._lake, latest_week())),
            "review": lambda: _review(
                self._report_digest(latest_week()), read(reports.drift_review_path(latest_week()))
            ),
            "gate": lambda: _gate(read(reports.PROMOTION_GATE)),
            "promotions": lambda: _promotions(read(reports.PROMOTIONS)),
        }

    def _report_digest(self, week: str) -> str | None:
        """What a review of the report as it is now refers to; None where it cannot be read: then no review counts."""
        try:
            return str(reports.drift_summary(self._lake, week)["digest"])
        except (NotPublishedError, CorruptArtefactError, KeyError, TypeError):
            return None

    def _latest_drift_week(self) -> str:
        week = reports.latest_drift_week(self._lake)
        if week is None:
            raise NotPublishedError("no drift report is published yet")
        return week


Rows = Iterable[tuple[tuple[str, ...], float | None]]


def _gauge(name: str, documentation: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, value in rows:
        if value is not None:
            family.add_metric(values, value)
    return family


def _moment(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _freshness(document: dict[str, Any]) -> Iterator[Metric]:
    written = _moment(document["written_at"])
    yield _gauge("touchline_pipeline_run_timestamp_seconds", "When the pipeline last finished.", (), [((), written)])
    as_of = _moment(document["as_of"])
    yield _gauge("touchline_pipeline_as_of_timestamp_seconds", "The moment the pipeline stands at.", (), [((), as_of)])
    forecasts = document["forecasts"]
    yield _gauge("touchline_forecasts_published", "Forecasts in the lake.", (), [((), forecasts["published"])])
    yield _gauge("touchline_forecasts_settled", "Forecasts scored.", (), [((), forecasts["settled"])])
    published = _moment(forecasts["last_published_at"])
    help_text = "Publication time of the newest forecast."
    yield _gauge("touchline_forecast_published_timestamp_seconds", help_text, (), [((), published)])
    for key, name, help_text in (
        ("results", "touchline_results_matches", "Results in the lake."),
        ("fixtures", "touchline_fixtures_matches", "Fixtures in the lake."),
        ("overdue", "touchline_results_overdue", "Matches that should be over for a day and have no result."),
        ("without_forecast", "touchline_fixtures_without_forecast", "Fixtures of the next days without a forecast."),
        ("stale", "touchline_forecasts_stale", "Fixtures of the next days whose forecast is out of date."),
        ("unlisted", "touchline_fixtures_missing", "Matches that the running season lacks, while none is to come."),
        ("quarantined", "touchline_quarantined_rows", "Rows of the source that were put aside."),
    ):
        rows = [((slug,), one[key]) for slug, one in document["competitions"].items()]
        yield _gauge(name, help_text, ("competition",), rows)
    last = [((slug,), _moment(one["last_result"])) for slug, one in document["competitions"].items()]
    yield _gauge("touchline_result_timestamp_seconds", "Kick-off of the newest result.", ("competition",), last)


def _performance(document: dict[str, Any]) -> Iterator[Metric]:
    # Versions are unbounded over the years, so the figures by version stay in the document.
    groups = [group for group in document["groups"] if group["model_version"] == "all"]
    where = ("competition", "window")
    places = [((group["competition"], group["window"]), group) for group in groups]
    counts = [(place, group["matches"]) for place, group in places]
    yield _gauge("touchline_scored_matches", "Settled matches behind the scores.", where, counts)
    scores = [
        ((*place, forecaster, score), value)
        for place, group in places
        for forecaster, summary in group["scores"].items()
        for score, value in (summary or {}).items()
    ]
    yield _gauge("touchline_score_mean", "Mean score.", (*where, "forecaster", "score"), scores)
    skill = [((*place, name), one["skill"]) for place, group in places for name, one in group["against"].items()]
    help_text = "1 - RPS of the model / RPS of the reference."
    yield _gauge("touchline_skill_score", help_text, (*where, "reference"), skill)
    differences = [
        ((*place, name, bound), one[bound])
        for place, group in places
        for name, one in group["against"].items()
        for bound in ("mean", "low", "high")
    ]
    help_text = "Paired RPS difference model - reference with its 95 % interval; below zero the model is better."
    yield _gauge("touchline_rps_difference", help_text, (*where, "reference", "bound"), differences)
    for key, name, help_text in (
        ("error", "touchline_calibration_error_ratio", "Expected calibration error."),
        ("limit", "touchline_calibration_limit_ratio", "Calibration error that a perfect model exceeds 1 time in 20."),
    ):
        yield _gauge(name, help_text, where, [(place, group["calibration"][key]) for place, group in places])


def _drift(document: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("touchline_drift_share_ratio", "Share of drifted columns.", (), [((), document["share"])])
    yield _gauge("touchline_drift_window_matches", "Matches in the window.", (), [((), document["matches"])])
    week = _moment(f"{document['week']}T00:00:00+00:00")
    yield _gauge("touchline_drift_week_timestamp_seconds", "Monday of the newest drift report.", (), [((), week)])
    states = [((state,), float(state == document["state"])) for state in ("stable", "drift", "too_few_matches")]
    yield _gauge("touchline_drift_state", "1 for the verdict of the newest drift report.", ("state",), states)
    drifted = [((one["column"],), float(one["drifted"])) for one in document["columns"]]
    yield _gauge("touchline_drift_column_drifted", "1 where the column drifted.", ("column",), drifted)
    p_values = [((one["column"],), one["p_value"]) for one in document["columns"]]
    yield _gauge("touchline_drift_p_value", "p-value of the column's test.", ("column",), p_values)


def _review(report: str | None, document: dict[str, Any]) -> Iterator[Metric]:
    # A review of an earlier state of the report must not silence the alert on this one.
    at = _moment(document["at"]) if document["report"] == report else None
    yield _gauge(
        "touchline_drift_review_timestamp_seconds", "When the newest drift report was reviewed.", (), [((), at)]
    )


def _gate(document: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge(
        "touchline_promotion_gate_passed", "1 if the candidate may be promoted.", (), [((), float(document["open"]))]
    )
    conditions = [((one["name"],), float(one["open"])) for one in document["conditions"]]
    yield _gauge("touchline_promotion_gate_condition_passed", "1 if the condition holds.", ("condition",), conditions)
    bearers = {"staging": "candidate", "production": "production", "previous": "previous"}
    aliases = [((alias,), document.get(field)) for alias, field in bearers.items()]
    yield _gauge("touchline_alias_version", "Registry version that bears the alias.", ("alias",), aliases)
    waiting = _moment(document["waiting_since"])
    help_text = "Since when only a person's approval is missing."
    yield _gauge("touchline_promotion_waiting_timestamp_seconds", help_text, (), [((), waiting)])


def _promotions(document: dict[str, Any]) -> Iterator[Metric]:
    history = document["promotions"]
    actions = sorted({one["action"] for one in history})
    counts = [((action,), float(sum(one["action"] == action for one in history))) for action in actions]
    yield _gauge("touchline_promotions", "Times that production changed.", ("action",), counts)
    last = max((_moment(one["at"]) or 0.0 for one in history), default=None)
    yield _gauge("touchline_promotion_timestamp_seconds", "When production last changed.", (), [((), last)])
