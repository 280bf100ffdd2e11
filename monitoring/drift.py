"""Drift: whether features and forecasts of the latest matches still look like those of earlier seasons.

The reference is fixed: the `REFERENCE_SEASONS` complete seasons before the current one. The window is the last `WINDOW`
matches of the current season of each competition. A competition with fewer matches in window or reference is excluded,
because leagues differ: one league is no reference for another. For the same reason, every competition has the same
number of rows in the reference. If no competition remains, the result is "too few matches". Every column is tested with
the two-sample Kolmogorov-Smirnov test.

The p-values of this test cannot be used directly, because the matches of a season share their twenty clubs. Without any
drift, the p-values of some columns never come near 5 %, and those of others fall below it every few weeks. So each
column has its own threshold, calibrated on undrifted seasons (`calibrate`). The report page states the false-alarm rate
of the test and the faults that it detects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import kolmogorov
from scipy.stats import ks_2samp

from features.errors import InvalidInputError
from features.matches import OUTCOMES
from features.splits import season_starts
from monitoring.drift_page import EMPTY, MIN_SEASONS, with_preface

Floats = NDArray[np.float64]

METHOD = "ks"
REFERENCE_SEASONS = 3
BURN_IN_SEASONS = 1
"""Seasons at the start of the data in which ratings converge. They are never part of a window or reference."""

WINDOW = 100
STEP = 10
"""Matches of each competition between two calibration windows: a round of a league of twenty."""

POWER_EVERY = 4
"""Faults are injected into every fourth calibration window: windows overlap and differ little."""

MAX_DRIFT_P_VALUE = 0.01
"""Upper bound of every threshold, even if the p-values of past seasons were larger."""

THRESHOLD_FACTOR = 0.1
"""A threshold is this fraction of the smallest p-value in undrifted seasons."""


@dataclass(frozen=True)
class DriftCalibration:
    """Thresholds per column, and how they perform on past seasons.

    Attributes
    ----------
    thresholds : p-value per column below which it counts as drifted.
    seasons : undrifted seasons used for calibration, by starting year.
    windows : number of windows in them.
    false_alarm_rate : share of those windows that would have raised an alarm, each season tested with thresholds from
        the other seasons; None if not measured.
    false_alarms : false-alarm rate by season.
    power : share of windows with an alarm after injecting each kind of fault, by its description.
    """

    thresholds: dict[str, float]
    seasons: tuple[int, ...] = ()
    windows: int = 0
    false_alarm_rate: float | None = None
    false_alarms: dict[str, float] | None = None
    power: dict[str, float] | None = None


@dataclass(frozen=True)
class DriftReport:
    """Contents of `summary.json` and `report.html` of one week."""

    summary: dict[str, Any]
    html: str


def calibrate(history: pd.DataFrame, columns: Sequence[str]) -> DriftCalibration:
    """Calibrate thresholds on complete past seasons, and measure their false-alarm rate and power.

    Parameters
    ----------
    history : matches of complete seasons: competition, season, kick_off and `columns`.
    columns : numeric columns to test: the features of the model, and `OUTCOMES` for its forecasts.

    Returns
    -------
    Calibration from every round of every undrifted season. With fewer than `MIN_SEASONS` such seasons, it has only
    thresholds: `MAX_DRIFT_P_VALUE` divided by the number of columns (Bonferroni).
    """
    samples = list(_undrifted(history[["competition", "season", "kick_off", *columns]]))
    seasons = tuple(sorted({season for season, _, _ in samples}))
    if len(seasons) < MIN_SEASONS:
        return DriftCalibration({column: MAX_DRIFT_P_VALUE / len(columns) for column in columns})
    p = np.array(
        [
            [_asymptotic_p_value(_finite(reference[name]), _finite(window[name])) for name in columns]
            for _, reference, window in samples
        ]
    )
    season_of = np.array([season for season, _, _ in samples])
    alarms = {
        str(season): float((p[season_of == season] < _thresholds(p[season_of != season])).any(axis=1).mean())
        for season in seasons
    }
    rate = float(np.mean([alarms[str(season)] for season in season_of]))
    pairs = [(reference, window) for _, reference, window in samples]
    power = _power(pairs[::POWER_EVERY], columns, _thresholds(p))
    extremes = [pairs[row] for row in p.argmin(axis=0)]
    exact = [
        ks_2samp(_finite(reference[name]), _finite(window[name])).pvalue
        for name, (reference, window) in zip(columns, extremes, strict=True)
    ]
    thresholds = _thresholds(np.array([exact])).tolist()
    return DriftCalibration(dict(zip(columns, thresholds, strict=True)), seasons, len(samples), rate, alarms, power)


def drift_report(frame: pd.DataFrame, week: str, calibration: DriftCalibration) -> DriftReport:
    """Compare the latest window with the reference.

    Parameters
    ----------
    frame : matches of the current and earlier seasons: competition, season, kick_off, the columns of `calibration`
        (features before each match, and forecast probabilities), and `as_published` (bool): whether the probabilities
        are the published ones.
    week : Monday of the week of the report, YYYY-MM-DD; later matches are ignored.
    calibration : from `calibrate`.

    Returns
    -------
    The report. Its `state` is `stable`, `drift` (at least one column drifted) or `too_few_matches`.
    """
    columns = [name for name in frame.columns if name in calibration.thresholds]
    end = datetime.fromisoformat(week).replace(tzinfo=UTC) + timedelta(days=7)
    known = frame[frame["kick_off"] < pd.Timestamp(end)]
    reference, window, excluded_competitions = split(known)
    summary: dict[str, Any] = {
        "week": week,
        "method": METHOD,
        "matches": len(window),
        "as_published": int(window["as_published"].sum()),
        "minimum": WINDOW,
        "excluded_competitions": excluded_competitions,
        "competitions": sorted(set(window["competition"])),
        "window": _extent(window),
        "reference": _extent(reference) | {"matches": len(reference), "seasons": sorted(set(reference["season"]))},
        "trust": asdict(calibration),
    }
    if window.empty:
        rows = sum(counts["matches"] for counts in excluded_competitions.values())
        summary |= {"state": "too_few_matches", "share": None, "columns": [], "matches": rows}
        return DriftReport(_with_content_hash(summary), with_preface(EMPTY, summary))
    missing = [name for name in columns if _finite(window[name]).size < len(window) / 2]
    present = [name for name in columns if name not in missing]
    p_values, page = _run_evidently(reference, window, present, calibration) if present else ({}, EMPTY)
    described = [
        _describe(name, reference, window, p_values.get(name), calibration.thresholds[name]) for name in columns
    ]
    drifted = [column["column"] for column in described if column["drifted"]]
    summary |= {
        "state": "drift" if drifted else "stable",
        "share": len(drifted) / len(columns),
        "drifted": drifted,
        "columns": described,
    }
    return DriftReport(_with_content_hash(summary), with_preface(page, summary))


def review(summary: dict[str, Any], by: str, note: str, at: datetime) -> dict[str, Any]:
    """Build the document `review.json`: a person's review of exactly this report.

    Parameters
    ----------
    summary : `DriftReport.summary` of the reviewed report.
    by, note : name of the reviewer, and what the drift means.
    at : time of the review, timezone-aware.

    Raises
    ------
    InvalidInputError
        If the name or the note is empty.
    """
    if not by.strip() or not note.strip():
        raise InvalidInputError("a review needs a name and a note")
    return {
        "week": summary["week"],
        "report": summary["digest"],
        "by": by.strip(),
        "note": note.strip(),
        "at": at.isoformat(),
    }


def split(known: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, int]]]:
    """Split matches into reference and window.

    Returns
    -------
    Reference, window, and the excluded competitions with their number of matches in each.
    """
    ordered = known.sort_values("kick_off", kind="stable", ignore_index=True)
    start = pd.Series(season_starts(ordered["season"]), index=ordered.index)
    current = start.groupby(ordered["competition"]).transform("max")
    running = ordered[start == current]
    before = ordered[(start < current) & (start >= current - REFERENCE_SEASONS)]
    counts = {
        str(name): {"matches": int(n), "reference": int((before["competition"] == name).sum())}
        for name, n in running["competition"].value_counts().items()
    }
    excluded = {name: count for name, count in counts.items() if min(count.values()) < WINDOW}
    share = min((count["reference"] for name, count in counts.items() if name not in excluded), default=0)
    competitions = before[~before["competition"].isin(excluded)].groupby("competition", sort=False)
    reference = before.loc[[row for rows in competitions.groups.values() for row in _evenly_spaced(rows, share)]]
    return reference, running[~running["competition"].isin(excluded)].groupby("competition").tail(WINDOW), excluded


def _evenly_spaced(rows: pd.Index[Any], n: int) -> pd.Index[Any]:
    """Select n rows in even steps from the first to the last."""
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]


def _undrifted(history: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Yield (season, reference, window) for every round of every season with a complete reference before it."""
    start, step = season_starts(history["season"]), STEP * history["competition"].nunique()
    for season in sorted(set(start))[BURN_IN_SEASONS + REFERENCE_SEASONS :]:
        until = history[start <= season].sort_values("kick_off", kind="stable")
        kick_offs = until.loc[season_starts(until["season"]) == season, "kick_off"]
        for kick_off in kick_offs.iloc[WINDOW - 1 :: step]:
            reference, window, _ = split(until[until["kick_off"] <= kick_off])
            if len(window):
                yield int(season), reference, window


def _finite(values: pd.Series) -> Floats:
    array = values.to_numpy(float)
    return np.asarray(array[np.isfinite(array)])


def _asymptotic_p_value(reference: Floats, window: Floats) -> float:
    """Compute the asymptotic p-value of the test, for calibration only, which needs thousands of them.

    It is fifty times faster than the exact p-value that Evidently reports. `scipy.stats.ks_2samp(method="asymp")` is no
    substitute: it corrects for finite samples, so its p-values differ by up to 0.03, and it is 13 times slower.
    """
    both = np.concatenate([reference, window])
    cdfs = [np.searchsorted(np.sort(sample), both, side="right") / len(sample) for sample in (reference, window)]
    effective_size = len(reference) * len(window) / len(both)
    return float(kolmogorov(np.sqrt(effective_size) * np.abs(cdfs[0] - cdfs[1]).max()))


def _thresholds(p: Floats) -> Floats:
    return np.asarray(np.minimum(MAX_DRIFT_P_VALUE, THRESHOLD_FACTOR * p.min(axis=0)))


def _fault_injectors() -> dict[str, Callable[[Floats, float], Floats]]:
    """Return the faults of one column as functions of its values (n,) and the reference's standard deviation."""
    return {
        "a feature shifted by a quarter of its standard deviation": lambda x, sd: x + 0.25 * sd,
        "a feature shifted by half of its standard deviation": lambda x, sd: x + 0.5 * sd,
        "a feature shifted by its standard deviation": lambda x, sd: x + sd,
        "a broken feed: a feature stuck at one value": lambda x, _: np.full_like(x, x[0]),
        "a broken feed: every second value of a feature zero": lambda x, _: np.where(np.arange(len(x)) % 2, x, 0.0),
    }


def _power(
    pairs: list[tuple[pd.DataFrame, pd.DataFrame]], columns: Sequence[str], thresholds: Floats
) -> dict[str, float]:
    """Compute the share of windows with an alarm after each fault; faults of one column are averaged over columns."""
    limits = dict(zip(columns, thresholds.tolist(), strict=True))
    samples = [
        (name, _finite(reference[name]), _finite(window[name])) for reference, window in pairs for name in columns
    ]
    power = {
        fault: float(
            np.mean(
                [
                    _asymptotic_p_value(reference, inject(window, float(reference.std()))) < limits[name]
                    for name, reference, window in samples
                ]
            )
        )
        for fault, inject in _fault_injectors().items()
    }
    for fault, spread in (("a changed league: half as uneven", 0.5), ("a changed league: twice as uneven", 2.0)):
        detected = [
            _asymptotic_p_value(reference, window.mean() + spread * (window - window.mean())) < limits[name]
            for name, reference, window in samples
        ]
        power[fault] = float(np.reshape(detected, (len(pairs), len(columns))).any(axis=1).mean())
    return power | _power_in_one_competition(pairs, limits)


def _power_in_one_competition(
    pairs: list[tuple[pd.DataFrame, pd.DataFrame]], limits: dict[str, float]
) -> dict[str, float]:
    """Compute the same for a fault in one of several competitions, which affects only a part of the window."""
    competitions = max((window["competition"].nunique() for _, window in pairs), default=0)
    if competitions < 2:
        return {}
    detected = []
    for reference, window in pairs:
        affected = window["competition"] == window["competition"].min()
        for name, limit in limits.items():
            stuck = window[name].mask(affected, window.loc[affected, name].iloc[0])
            detected.append(_asymptotic_p_value(_finite(reference[name]), _finite(stuck)) < limit)
    fault = f"a broken feed of one competition of {competitions}: a feature stuck at one value"
    return {fault: float(np.mean(detected))}


def _run_evidently(
    reference: pd.DataFrame, window: pd.DataFrame, columns: list[str], calibration: DriftCalibration
) -> tuple[dict[str, float], str]:
    """Run Evidently; returns the p-value of each column, and Evidently's page."""
    from evidently import DataDefinition, Dataset
    from evidently import Report as EvidentlyReport
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=columns)

    def dataset(frame: pd.DataFrame) -> Any:
        # Evidently supports neither nullable types nor infinity.
        values = frame[columns].astype("float64").replace([np.inf, -np.inf], np.nan).reset_index(drop=True)
        return Dataset.from_pandas(values, data_definition=definition)

    preset = DataDriftPreset(
        num_method=METHOD,
        per_column_threshold={name: calibration.thresholds[name] for name in columns},
        drift_share=0.01,
    )
    snapshot = EvidentlyReport([preset]).run(dataset(window), dataset(reference), name=f"drift {len(window)} matches")
    values = {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot.dict()["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }
    return values, str(snapshot.get_html_str(as_iframe=False))


def _describe(
    name: str, reference: pd.DataFrame, window: pd.DataFrame, p_value: float | None, threshold: float
) -> dict[str, Any]:
    """Summarise a column. A column without a p-value is missing in most of the window: a fault of the feed."""
    before, now = _finite(reference[name]), _finite(window[name])
    return {
        "column": name,
        "kind": "prediction" if name in OUTCOMES else "feature",
        "p_value": p_value,
        "threshold": threshold,
        "drifted": p_value is None or p_value < threshold,
        "missing": 1 - now.size / len(window),
        "mean_reference": float(before.mean()) if before.size else None,
        "mean_window": float(now.mean()) if now.size else None,
    }


def _extent(rows: pd.DataFrame) -> dict[str, Any]:
    if rows.empty:
        return {"from": None, "to": None}
    return {"from": rows["kick_off"].min().isoformat(), "to": rows["kick_off"].max().isoformat()}


def _with_content_hash(summary: dict[str, Any]) -> dict[str, Any]:
    """Add the hash that a review refers to."""
    text = json.dumps(summary, sort_keys=True)
    return summary | {"digest": hashlib.sha256(text.encode()).hexdigest()[:16]}
