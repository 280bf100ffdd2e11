"""The back-test: every figure with its N, its standard error and the paired difference, walk-forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.competitions import tier_of
from features.leakage import check_leakage
from features.matches import ODDS, outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, GOAL_FEATURES, REFERENCE_FEATURE, FeatureGroup, model_input
from features.metrics import base_rate, rps, summary
from features.models import Classifier, outcome_model, reference_model
from features.odds import CLOSING_ODDS, market, shin
from features.rating_history import compute_ratings
from features.ratings import dixon_coles
from features.splits import by_month, season_starts, walk_forward

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

SHOTS = ("home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target")
CLOSING = "closing odds"
METRICS = {"rps": "RPS", "log_loss": "log loss", "ece": "ECE"}


@dataclass(frozen=True)
class Target:
    """A score, one of `METRICS`, that a forecaster is to reach: at most `limit`, to four digits."""

    forecaster: str
    metric: str
    limit: float


PREMIER_LEAGUE = (
    Target("model, goals", "rps", 0.2005),
    Target("model, goals", "log_loss", 0.9765),
    Target("model, goals", "ece", 0.026),
)
"""Seasons 2021/22 to 2025/26."""

TOP_FIVE = (
    Target("model, goals", "rps", 0.2010),
    Target("model, shots", "rps", 0.2000),
    Target("model, shots", "log_loss", 0.985),
    Target("model, odds", "rps", 0.1960),
)
"""First tiers of five countries, seasons 2019/20 to 2023/24."""


@dataclass(frozen=True)
class Forecasts:
    """Out-of-sample probabilities of several forecasters for the same matches.

    Attributes
    ----------
    outcomes : (n,) labels.
    probabilities : by forecaster (n, 3), NaN where it has none.
    """

    matches: pd.DataFrame
    outcomes: Labels
    probabilities: Mapping[str, Floats]

    def only(self, rows: NDArray[np.bool_]) -> Forecasts:
        """Those of some of the matches."""
        kept = {name: p[rows] for name, p in self.probabilities.items()}
        return Forecasts(self.matches[rows].reset_index(drop=True), self.outcomes[rows], kept)

    def line(self, name: str, against: str) -> dict[str, float | str]:
        """Scores of one forecaster, and its paired RPS difference to another, on the matches that both have."""
        mine, other = self.probabilities[name], self.probabilities[against]
        both = ~(np.isnan(mine).any(axis=1) | np.isnan(other).any(axis=1))
        y = self.outcomes[both]
        each = rps(mine[both], y)
        difference = each - rps(other[both], y)
        return {
            "forecaster": name,
            **summary(mine[both], y),
            "rps_se": float(each.std(ddof=1) / np.sqrt(len(y))),
            "difference": float(difference.mean()),
            "difference_se": float(difference.std(ddof=1) / np.sqrt(len(y))),
        }


def walk(
    matches: pd.DataFrame,
    x: Floats,
    first: int,
    asked: NDArray[np.bool_] | None = None,
    head: Callable[[], Classifier] = outcome_model,
) -> Floats:
    """Probabilities (n, 3) from season `first` on by a model refit before each month, NaN for rows not `asked` for.

    As on the platform one model learns from all competitions, lower tiers too. It retrains every week there; what a
    month learns in more weeks is too little to see.
    """
    y, p = outcomes(matches), np.full((len(matches), 3), np.nan)
    for train, test in by_month(matches, first):
        rows = test if asked is None else test[asked[test]]
        if len(rows):
            p[rows] = head().fit(x[train], y[train]).predict_proba(x[rows])
    return p


def walk_each(matches: pd.DataFrame, x: Floats, first: int, asked: NDArray[np.bool_]) -> Floats:
    """The same with a model for each competition, where `walk` has one for all."""
    p = np.full((len(matches), 3), np.nan)
    for competition in matches["competition"][asked].unique():
        rows = np.flatnonzero(matches["competition"] == competition)
        p[rows] = walk(matches.iloc[rows], x[rows], first, asked[rows])
    return p


def base_rates(matches: pd.DataFrame, first: int, asked: NDArray[np.bool_]) -> Floats:
    """Shares (n, 3) of the outcomes in the seasons before, of the rows that are `asked` for."""
    y, p = outcomes(matches), np.full((len(matches), 3), np.nan)
    for _, train, test in walk_forward(matches, first):
        p[test[asked[test]]] = base_rate(y[train[asked[train]]])
    return p


def _known(matches: pd.DataFrame, columns: Sequence[str]) -> bool:
    return bool(matches[list(columns)].notna().all(axis=1).any())


def top_tier(matches: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows (n,) of first tiers."""
    return np.asarray(matches["competition"].map(tier_of).eq(1))


def evaluate(matches: pd.DataFrame, first: int, last: int) -> Forecasts:
    """Forecast the top-tier matches of seasons `first` to `last` in all ways that the data allows.

    Parameters
    ----------
    matches : played matches up to season `last`; lower tiers feed ratings and models and are not forecast.

    Raises
    ------
    LeakageError
        If a model is better than the closing odds, or than closing odds ever are.
    """
    table = matches[season_starts(matches["season"]) <= last].reset_index(drop=True)
    found = _forecasts(table, first)
    judged = top_tier(table) & (season_starts(table["season"]) >= first)
    result = Forecasts(
        table[judged].reset_index(drop=True), outcomes(table[judged]), {name: p[judged] for name, p in found.items()}
    )
    for name, p in result.probabilities.items():
        if name.startswith("model"):
            has = ~np.isnan(p).any(axis=1)
            odds = result.probabilities.get(CLOSING)
            check_leakage(p[has], result.outcomes[has], odds[has] if odds is not None else None)
    return result


def _forecasts(table: pd.DataFrame, first: int) -> dict[str, Floats]:
    """Probabilities (n, 3) by each forecaster, NaN where it has none."""
    run, top = compute_ratings(table), top_tier(table)
    x = model_input(run.home, run.away, table["neutral"].to_numpy(bool), market(table))
    goals, shots, odds = (
        x[:, [FEATURES.index(name) for name in FEATURE_GROUPS[group]]]
        for group in (FeatureGroup.GOALS, FeatureGroup.SHOTS, FeatureGroup.SHOTS_AND_ODDS)
    )
    plain = x[:, [FEATURES.index(REFERENCE_FEATURE)]]
    blend = partial(outcome_model, features=GOAL_FEATURES, blend=True)
    found = {"model, goals": walk(table, goals, first, top), "blend, goals": walk(table, goals, first, top, blend)}
    if table["competition"][top].nunique() > 1:
        found["one a league, goals"] = walk_each(table, goals, first, top)
    before, closing = (shin(table[list(columns)].to_numpy(float)) for columns in (ODDS, CLOSING_ODDS))
    if _known(table, SHOTS):
        found["model, shots"] = walk(table, shots, first, top)
        if _known(table, ODDS):
            pool = partial(outcome_model, features=FEATURE_GROUPS[FeatureGroup.SHOTS_AND_ODDS])
            found["model, odds"] = walk(table, odds, first, top, pool)
    found |= {
        "base rate": base_rates(table, first, top),
        "plain Elo (K=20)": walk(table, plain, first, top, reference_model),
        "Dixon-Coles": dixon_coles.walk_forward_forecasts(table, first),
    }
    bookmakers = {"odds before the match": before, CLOSING: closing}
    return found | {name: p for name, p in bookmakers.items() if np.isfinite(p).any()}


def pools(matches: pd.DataFrame, first: int) -> Forecasts:
    """One model for all competitions, one for all first tiers, or one for each: on goals, for every tier."""
    run = compute_ratings(matches)
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))
    x = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]]
    top, everyone, y = top_tier(matches), np.ones(len(matches), bool), outcomes(matches)
    first_tiers = np.full((len(matches), 3), np.nan)
    month = matches["kick_off"].dt.strftime("%Y-%m")
    for train, test in by_month(matches[top], first):
        rows = np.flatnonzero(top)[train]
        now = np.flatnonzero(month == month.iloc[np.flatnonzero(top)[test[0]]])
        first_tiers[now] = outcome_model().fit(x[rows], y[rows]).predict_proba(x[now])
    found = {
        "one for all": walk(matches, x, first),
        "one for first tiers": first_tiers,
        "one for each": walk_each(matches, x, first, everyone),
    }
    return Forecasts(matches, y, found)


def report(title: str, forecasts: Forecasts, model: str) -> str:
    """All forecasters in a table, each with its paired difference: the model's RPS minus its own."""
    lines = [forecasts.line(name, model) for name in forecasts.probabilities]
    seasons = forecasts.matches["season"]
    out = [
        f"{title}, {seasons.min()} to {seasons.max()}",
        f"{'':24}{'N':>6}  {'RPS':>6} ± s.e.   {'log loss':>8}  {'Brier':>6}  {'acc.':>5}  {'ECE':>5}  "
        f"RPS of '{model}' minus this",
    ]
    out += [
        f"{one['forecaster']:24}{one['n']:6.0f}  {one['rps']:.4f} ± {one['rps_se']:.4f}  {one['log_loss']:8.4f}  "
        f"{one['brier']:.4f}  {one['accuracy']:.3f}  {one['ece']:.3f}  "
        + ("" if one["forecaster"] == model else f"{-float(one['difference']):+.4f} ± {one['difference_se']:.4f}")
        for one in lines
    ]
    base = {str(one["forecaster"]): one for one in lines}
    if "base rate" in base:
        skill = 1 - float(base[model]["rps"]) / float(base["base rate"]["rps"])
        out.append(f"skill of '{model}' over the base rate: {skill:.3f}")
    return "\n".join(out)


def verdicts(forecasts: Forecasts, targets: Sequence[Target]) -> str:
    """Each target, what was reached, and whether that is enough."""
    out = []
    for one in targets:
        reached = round(float(forecasts.line(one.forecaster, one.forecaster)[one.metric]), 4)
        over = f"missed by {reached - one.limit:.4f}" if reached > one.limit else "met"
        out.append(f"target {METRICS[one.metric]} of '{one.forecaster}' <= {one.limit:.4f}: {reached:.4f}, {over}")
    return "\n".join(out)
