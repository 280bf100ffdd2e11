"""Drift: do the features and forecasts of the latest matches still look like those of the seasons before?

The reference is fixed: the `REFERENCE_SEASONS` complete seasons before the running one. The window is the last
`WINDOW` matches of the running season of each competition. A competition with fewer, in window or reference, is left
out: leagues differ, so that the matches of one are no reference for another. For the same reason each competition has
as many rows in the reference as any other. Where none is left there is no verdict, only "too few matches".
The method is named: the two-sample Kolmogorov-Smirnov test for every column.

Its p-values cannot be taken at their word, because the matches of a season share their twenty clubs: some columns
never come near 5 % without drift, others pass it every few weeks. So each column has its own threshold, from what
undrifted seasons did (`measure`), and the report's page says how often that rule cries wolf and what it catches.
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
"""Seasons at the start of the data in which ratings still find their level: never part of what is measured on."""

WINDOW = 100
STEP = 10
"""Matches of each competition between two windows when measuring: a round of a league of twenty."""

POWER_EVERY = 4
"""Of the windows measured on, every so many gets planted faults: they overlap and differ little."""

MAX_DRIFT_P_VALUE = 0.01
"""A p-value above this is never drift, however calm the past was."""

THRESHOLD_FACTOR = 0.1
"""A threshold is this times the smallest p-value that undrifted seasons gave."""


@dataclass(frozen=True)
class DriftCalibration:
    """How far the drift verdict can be trusted: thresholds per column, and what they do on seasons of the past.

    Attributes
    ----------
    thresholds : p-value per column below which it counts as drifted.
    seasons : undrifted seasons measured on, by the year they began.
    windows : windows in them.
    false_alarm_rate : share of those windows that would have been called drift, each season judged by thresholds from
        the other seasons; None where not measured.
    false_alarms : the same by season.
    power : share of windows called drift after planting each kind of fault, by its description.
    """

    thresholds: dict[str, float]
    seasons: tuple[int, ...] = ()
    windows: int = 0
    false_alarm_rate: float | None = None
    false_alarms: dict[str, float] | None = None
    power: dict[str, float] | None = None


@dataclass(frozen=True)
class DriftReport:
    """The documents `summary.json` and `report.html` of one week."""

    summary: dict[str, Any]
    html: str


def calibrate(history: pd.DataFrame, columns: Sequence[str]) -> DriftCalibration:
    """Thresholds from complete seasons of the past, with the false-alarm rate and the power that they give.

    Parameters
    ----------
    history : matches of complete seasons: competition, season, kick_off and `columns`.
    columns : numeric columns to watch: the features of the model, and `OUTCOMES` for its forecasts.
    """
    pairs = list(_undrifted(history[["competition", "season", "kick_off", *columns]]))
    seasons = tuple(sorted({season for season, _, _ in pairs}))
    if len(seasons) < MIN_SEASONS:
        return DriftCalibration({column: MAX_DRIFT_P_VALUE / len(columns) for column in columns})
    p = np.array(
        [[_asymptotic_p_value(_finite(ref[name]), _finite(now[name])) for name in columns] for _, ref, now in pairs]
    )
    season = np.array([one for one, _, _ in pairs])
    alarms = {str(one): float((p[season == one] < _thresholds(p[season != one])).any(axis=1).mean()) for one in seasons}
    rate = float(np.mean([alarms[str(one)] for one in season]))
    power = _power([(ref, now) for _, ref, now in pairs][::POWER_EVERY], columns, _thresholds(p))
    extremes = [pairs[row][1:] for row in p.argmin(axis=0)]
    exact = [ks_2samp(_finite(ref[c]), _finite(now[c])).pvalue for c, (ref, now) in zip(columns, extremes, strict=True)]
    thresholds = _thresholds(np.array([exact])).tolist()
    return DriftCalibration(dict(zip(columns, thresholds, strict=True)), seasons, len(pairs), rate, alarms, power)


def drift_report(frame: pd.DataFrame, week: str, trust: DriftCalibration) -> DriftReport:
    """Compare the latest window with the reference.

    Parameters
    ----------
    frame : matches of the running season and those before: competition, season, kick_off, the columns of `trust`
        (features as they stood before each match, and the forecast probabilities), and `as_published` (bool): whether
        the probabilities are those that were published.
    week : Monday of the week that the report is for, YYYY-MM-DD; matches after it are left out.
    trust : from `measure`.
    """
    columns = [name for name in frame.columns if name in trust.thresholds]
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
        "trust": asdict(trust),
    }
    if window.empty:
        rows = sum(one["matches"] for one in excluded_competitions.values())
        summary |= {"state": "too_few_matches", "share": None, "columns": [], "matches": rows}
        return DriftReport(_with_content_hash(summary), with_preface(EMPTY, summary))
    missing = [name for name in columns if _finite(window[name]).size < len(window) / 2]
    present = [name for name in columns if name not in missing]
    p_values, page = _run_evidently(reference, window, present, trust) if present else ({}, EMPTY)
    described = [_describe(name, reference, window, p_values.get(name), trust.thresholds[name]) for name in columns]
    drifted = [one for one in described if one["drifted"]]
    summary |= {
        "state": "drift" if drifted else "stable",
        "share": len(drifted) / len(columns),
        "drifted": [one["column"] for one in drifted],
        "columns": described,
    }
    return DriftReport(_with_content_hash(summary), with_preface(page, summary))


def review(summary: dict[str, Any], by: str, note: str, at: datetime) -> dict[str, Any]:
    """The document `review.json`: a person has looked at exactly this report.

    Raises
    ------
    InvalidInputError
        If the name or the note is empty.
    """
    if not by.strip() or not note.strip():
        raise InvalidInputError("a review needs the name of who reviewed and a note")
    return {
        "week": summary["week"],
        "report": summary["digest"],
        "by": by.strip(),
        "note": note.strip(),
        "at": at.isoformat(),
    }


def split(known: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, int]]]:
    """Reference, window, and the competitions left out of both, with the matches that they have for each."""
    ordered = known.sort_values("kick_off", kind="stable", ignore_index=True)
    start = pd.Series(season_starts(ordered["season"]), index=ordered.index)
    current = start.groupby(ordered["competition"]).transform("max")
    running = ordered[start == current]
    before = ordered[(start < current) & (start >= current - REFERENCE_SEASONS)]
    counts = {
        str(name): {"matches": int(n), "reference": int((before["competition"] == name).sum())}
        for name, n in running["competition"].value_counts().items()
    }
    excluded_competitions = {name: one for name, one in counts.items() if min(one.values()) < WINDOW}
    share = min((one["reference"] for name, one in counts.items() if name not in excluded_competitions), default=0)
    kept = before[~before["competition"].isin(excluded_competitions)].groupby("competition", sort=False)
    reference = before.loc[[row for rows in kept.groups.values() for row in _evenly(rows, share)]]
    return (
        reference,
        running[~running["competition"].isin(excluded_competitions)].groupby("competition").tail(WINDOW),
        excluded_competitions,
    )


def _evenly(rows: pd.Index[Any], n: int) -> pd.Index[Any]:
    """So many of the rows, in even steps from the first to the last."""
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]


def _undrifted(history: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """(season, reference, window) for every round of every season that has a whole reference before it."""
    start, step = season_starts(history["season"]), STEP * history["competition"].nunique()
    for season in sorted(set(start))[BURN_IN_SEASONS + REFERENCE_SEASONS :]:
        until = history[start <= season].sort_values("kick_off", kind="stable")
        moments = until.loc[season_starts(until["season"]) == season, "kick_off"]
        for moment in moments.iloc[WINDOW - 1 :: step]:
            reference, window, _ = split(until[until["kick_off"] <= moment])
            if len(window):
                yield int(season), reference, window


def _finite(values: pd.Series) -> Floats:
    array = values.to_numpy(float)
    return np.asarray(array[np.isfinite(array)])


def _asymptotic_p_value(reference: Floats, window: Floats) -> float:
    """The test's limiting p-value, fifty times quicker than the exact one that Evidently gives; for measuring only."""
    both = np.concatenate([reference, window])
    shares = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (reference, window)]
    size = len(reference) * len(window) / len(both)
    return float(kolmogorov(np.sqrt(size) * np.abs(shares[0] - shares[1]).max()))


def _thresholds(p: Floats) -> Floats:
    return np.asarray(np.minimum(MAX_DRIFT_P_VALUE, THRESHOLD_FACTOR * p.min(axis=0)))


def _fault_injectors() -> dict[str, Callable[[Floats, float], Floats]]:
    """Faults in one column (n,), given the reference's standard deviation."""
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
    """Share of windows called drift after each planted fault; faults of one column are averaged over the columns."""
    limits = dict(zip(columns, thresholds.tolist(), strict=True))
    samples = [(name, _finite(ref[name]), _finite(now[name])) for ref, now in pairs for name in columns]
    found = {
        fault: float(
            np.mean([_asymptotic_p_value(ref, plant(now, float(ref.std()))) < limits[c] for c, ref, now in samples])
        )
        for fault, plant in _fault_injectors().items()
    }
    for fault, spread in (("a changed league: half as uneven", 0.5), ("a changed league: twice as uneven", 2.0)):
        hits = [
            _asymptotic_p_value(ref, now.mean() + spread * (now - now.mean())) < limits[name]
            for name, ref, now in samples
        ]
        found[fault] = float(np.reshape(hits, (len(pairs), len(columns))).any(axis=1).mean())
    return found | _power_on_one(pairs, limits)


def _power_on_one(pairs: list[tuple[pd.DataFrame, pd.DataFrame]], limits: dict[str, float]) -> dict[str, float]:
    """The same where only one competition of several is struck, and the others' matches hide it."""
    competitions = max((now["competition"].nunique() for _, now in pairs), default=0)
    if competitions < 2:
        return {}
    hits = []
    for reference, now in pairs:
        struck = now["competition"] == now["competition"].min()
        for name, limit in limits.items():
            stuck = now[name].mask(struck, now.loc[struck, name].iloc[0])
            hits.append(_asymptotic_p_value(_finite(reference[name]), _finite(stuck)) < limit)
    return {f"a broken feed of one competition of {competitions}: a feature stuck at one value": float(np.mean(hits))}


def _run_evidently(
    reference: pd.DataFrame, window: pd.DataFrame, columns: list[str], trust: DriftCalibration
) -> tuple[dict[str, float], str]:
    """p-value per column and the page, as Evidently gives them."""
    from evidently import DataDefinition, Dataset
    from evidently import Report as EvidentlyReport
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=columns)

    def dataset(frame: pd.DataFrame) -> Any:
        # Evidently knows neither nullable types nor infinity.
        values = frame[columns].astype("float64").replace([np.inf, -np.inf], np.nan).reset_index(drop=True)
        return Dataset.from_pandas(values, data_definition=definition)

    preset = DataDriftPreset(
        num_method=METHOD, per_column_threshold={name: trust.thresholds[name] for name in columns}, drift_share=0.01
    )
    snapshot = EvidentlyReport([preset]).run(dataset(window), dataset(reference), name=f"drift {len(window)} matches")
    values = {
        one["config"]["column"]: float(one["value"])
        for one in snapshot.dict()["metrics"]
        if one["config"]["type"].endswith(":ValueDrift")
    }
    return values, str(snapshot.get_html_str(as_iframe=False))


def _describe(
    name: str, reference: pd.DataFrame, window: pd.DataFrame, p_value: float | None, threshold: float
) -> dict[str, Any]:
    """One column's line; a column without p-value is missing in most of the window, which is a fault of the feed."""
    then, now = _finite(reference[name]), _finite(window[name])
    return {
        "column": name,
        "kind": "prediction" if name in OUTCOMES else "feature",
        "p_value": p_value,
        "threshold": threshold,
        "drifted": p_value is None or p_value < threshold,
        "missing": 1 - now.size / len(window),
        "mean_reference": float(then.mean()) if then.size else None,
        "mean_window": float(now.mean()) if now.size else None,
    }


def _extent(rows: pd.DataFrame) -> dict[str, Any]:
    if rows.empty:
        return {"from": None, "to": None}
    return {"from": rows["kick_off"].min().isoformat(), "to": rows["kick_off"].max().isoformat()}


def _with_content_hash(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with the digest that a review refers to."""
    text = json.dumps(summary, sort_keys=True)
    return summary | {"digest": hashlib.sha256(text.encode()).hexdigest()[:16]}
