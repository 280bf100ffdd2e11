"""The back-test: every figure with its N, its standard error and the paired difference, walk-forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.competitions import tier_of
from features.leaks import stop_at_leak
from features.matches import outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, GOAL_FEATURES, REFERENCE_FEATURE, FeatureGroup, model_input
from features.metrics import base_rate, rps, summary
from features.models import outcome_model, reference_model
from features.odds import pool_weights, pooled, shin
from features.ratings import dixon_coles
from features.replay import replay
from features.splits import by_month, season_starts, walk_forward

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

SHOTS_MODEL = FEATURE_GROUPS[FeatureGroup.SHOTS]
LEARN_WEIGHTS = 10
"""Seasons of forecasts from which the weights of odds and ratings are learnt."""


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


def walk(matches: pd.DataFrame, x: Floats, first: int, head: Callable[[], RatingBlend] = outcome_model) -> Floats:
    """Probabilities (n, 3) from season `first` on by a model refit before each month, NaN for other rows.

    The platform retrains every week; what a month learns in more weeks is too little to see.
    """
    y, p = outcomes(matches), np.full((len(matches), 3), np.nan)
    for train, test in by_month(matches, first):
        p[test] = head().fit(x[train], y[train]).predict_proba(x[test])
    return p


def walk_each(matches: pd.DataFrame, x: Floats, first: int) -> Floats:
    """The same with a model for each competition, where `walk` has one for all.

    One for all is what the platform trains: on 2011/12 to 2018/19 its RPS was .1979, theirs .1980, and it is there at
    once for a league without seasons of its own.
    """
    p = np.full((len(matches), 3), np.nan)
    for competition in matches["competition"].unique():
        rows = np.flatnonzero(matches["competition"] == competition)
        p[rows] = walk(matches.iloc[rows], x[rows], first)
    return p


def with_odds(matches: pd.DataFrame, odds: Floats, ratings: Floats, first: int) -> Floats:
    """Probabilities (n, 3) of `features.odds.pooled`, its weights learnt before each season.

    Parameters
    ----------
    odds, ratings : (n, 3) probabilities, NaN where there are none.
    """
    y, p = outcomes(matches), np.full((len(matches), 3), np.nan)
    usable = np.asarray(np.isfinite(odds + ratings).all(axis=1))
    for _, train, test in walk_forward(matches["season"], first):
        learn, ask = train[usable[train]], test[usable[test]]
        p[ask] = pooled(odds[ask], ratings[ask], pool_weights(odds[learn], ratings[learn], y[learn]))
    return p


def references(matches: pd.DataFrame, plain: Floats, first: int) -> dict[str, Floats]:
    """Base rate, plain Elo and Dixon-Coles."""
    y = outcomes(matches)
    base = np.full((len(matches), 3), np.nan)
    for _, train, test in walk_forward(matches["season"], first):
        base[test] = base_rate(y[train])
    strengths, _ = dixon_coles.walk_forward_forecasts(matches, first)
    return {
        "base rate": base,
        "plain Elo (K=20)": walk(matches, plain, first, reference_model),
        "Dixon-Coles": strengths,
    }


def evaluate(matches: pd.DataFrame, first: int, last: int, with_extras: bool) -> Forecasts:
    """Forecast the top-tier matches of seasons `first` to `last` in all ways that the data allows.

    Parameters
    ----------
    matches : played matches up to season `last`; lower tiers feed the ratings and are not forecast.
    with_extras : whether shots and odds are there.

    Raises
    ------
    LeakageError
        If a model is better than the closing odds, or than closing odds ever are.
    """
    matches = matches[season_starts(matches["season"]) <= last].reset_index(drop=True)
    run = replay(matches)
    top = matches["competition"].map(tier_of).eq(1).to_numpy()
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[top]
    table = matches[top].reset_index(drop=True)
    column = {name: number for number, name in enumerate(FEATURES)}
    goals = x[:, [column[name] for name in GOAL_FEATURES]]
    blend = partial(outcome_model, features=GOAL_FEATURES, blend=True)
    found = {"model, goals": walk(table, goals, first), "blend, goals": walk(table, goals, first, blend)}
    if table["competition"].nunique() > 1:
        found["one a league, goals"] = walk_each(table, goals, first)
    if with_extras:
        # from earlier on: what the odds are pooled with must be forecasts too
        ratings = walk(table, x[:, [column[name] for name in SHOTS_MODEL]], first - LEARN_WEIGHTS)
        before = shin(table[["odds_home", "odds_draw", "odds_away"]].to_numpy(float))
        found |= {"model, shots": ratings, "model, odds": with_odds(table, before, ratings, first)}
    found |= references(table, x[:, [column[REFERENCE_FEATURE]]], first)
    if with_extras:
        prices = table[["closing_home", "closing_draw", "closing_away"]].to_numpy(float)
        found |= {"odds before the match": before, "closing odds": shin(prices)}
    judged = season_starts(table["season"]) >= first
    result = Forecasts(
        table[judged].reset_index(drop=True), outcomes(table[judged]), {name: p[judged] for name, p in found.items()}
    )
    closing = result.probabilities.get("closing odds")
    for name, p in result.probabilities.items():
        if name.startswith("model"):
            has = ~np.isnan(p).any(axis=1)
            stop_at_leak(p[has], result.outcomes[has], closing[has] if closing is not None else None)
    return result


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
    skill = 1 - float(base[model]["rps"]) / float(base["base rate"]["rps"])
    return "\n".join([*out, f"skill of '{model}' over the base rate: {skill:.3f}"])
