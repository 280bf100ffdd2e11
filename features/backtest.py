"""Walk-forward back-test: scores of all forecasters, with standard errors and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.competitions import tier_of
from features.honest_forecasts import honest_forecasts
from features.leak_alarm import check_leakage
from features.matches import ODDS, decided_on_pitch, outcomes
from features.matrix import (
    FEATURE_GROUPS,
    FEATURES,
    GOAL_FEATURES,
    RATING_FEATURES,
    REFERENCE_FEATURE,
    FeatureGroup,
    model_input,
)
from features.metrics import base_rate, rps, summary
from features.models import Classifier, outcome_model, reference_model
from features.odds import CLOSING_ODDS, bookmaker_log_odds, shin
from features.rating_history import compute_ratings
from features.ratings import dixon_coles
from features.scrambled_results import check_features
from features.splits import by_month, season_starts, walk_forward

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

SHOTS = ("home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target")
BEFORE = "odds before the match"
CLOSING = "closing odds"
METRICS = {"rps": "RPS", "log_loss": "log loss", "ece": "ECE"}


@dataclass(frozen=True)
class Target:
    """Upper limit of a forecaster's score.

    Attributes
    ----------
    forecaster : a key of `Forecasts.probabilities`.
    metric : a key of `METRICS`; lower is better.
    limit : highest score that meets the target, compared after rounding to four decimals.
    above : a forecaster to whose score on the same matches the limit is added; None if the limit is absolute.
    """

    forecaster: str
    metric: str
    limit: float
    above: str | None = None


PREMIER_LEAGUE = (
    Target("model, goals", "rps", 0.2005),
    Target("model, goals", "log_loss", 0.9765),
    Target("model, goals", "ece", 0.026),
    Target("model, market", "rps", 0.1970),
    Target("model, market", "log_loss", 0.965),
)
"""Seasons 2021/22 to 2025/26; those of `model, market` need odds of these matches."""

TOP_FIVE = (
    Target("model, goals", "rps", 0.2004),
    Target("model, goals", "log_loss", 0.986),
    Target("model, shots", "rps", 0.1990),
    Target("model, shots", "log_loss", 0.982),
    Target("model, market", "rps", 0.1980),
    Target("model, market", "log_loss", 0.979),
    Target("model, odds", "rps", 0.0001, above=BEFORE),
)
"""First tiers of five countries, seasons 2019/20 to 2023/24."""


@dataclass(frozen=True)
class Forecasts:
    """Out-of-sample probabilities of several forecasters for the same matches.

    Attributes
    ----------
    matches : matches table, n rows.
    outcomes : (n,) labels: 0 home, 1 draw, 2 away.
    probabilities : by name of the forecaster, (n, 3) ordered home, draw, away; NaN for matches without its forecast.
    """

    matches: pd.DataFrame
    outcomes: Labels
    probabilities: Mapping[str, Floats]

    def only(self, rows: NDArray[np.bool_]) -> Forecasts:
        """Select matches by a mask (n,)."""
        selected = {name: p[rows] for name, p in self.probabilities.items()}
        return Forecasts(self.matches[rows].reset_index(drop=True), self.outcomes[rows], selected)

    def line(self, name: str, against: str) -> dict[str, float | str]:
        """Score a forecaster, with its paired RPS difference to another, on the matches that both forecast.

        Parameters
        ----------
        name : forecaster to score.
        against : forecaster to compare with.

        Returns
        -------
        dict with `forecaster`, the scores of `features.metrics.summary`, `rps_se`, `difference` (mean RPS of `name`
        minus that of `against`, negative if `name` is better) and `difference_se`.
        """
        p, other = self.probabilities[name], self.probabilities[against]
        both = ~(np.isnan(p).any(axis=1) | np.isnan(other).any(axis=1))
        y = self.outcomes[both]
        match_rps = rps(p[both], y)
        difference = match_rps - rps(other[both], y)
        return {
            "forecaster": name,
            **summary(p[both], y),
            "rps_se": float(match_rps.std(ddof=1) / np.sqrt(len(y))),
            "difference": float(difference.mean()),
            "difference_se": float(difference.std(ddof=1) / np.sqrt(len(y))),
        }


def walk(
    matches: pd.DataFrame,
    x: Floats,
    first: int,
    to_forecast: NDArray[np.bool_] | None = None,
    build_model: Callable[[], Classifier] = outcome_model,
) -> Floats:
    """Forecast month by month with a model that is refit before each month on the matches of earlier months.

    One model learns from all competitions, lower tiers included, as on the platform. The platform retrains every week;
    the results of a few more weeks make no visible difference.

    Parameters
    ----------
    matches : played matches, n rows.
    x : (n, n_features) model input.
    first : year in which the first forecast season begins.
    to_forecast : (n,) mask of the matches to forecast; None for all.
    build_model : creates the unfitted model.

    Returns
    -------
    Probabilities (n, 3) ordered home, draw, away; NaN for earlier seasons and outside `to_forecast`.
    """
    y, p = outcomes(matches), np.full((len(matches), 3), np.nan)
    for train, test in by_month(matches, first):
        rows = test if to_forecast is None else test[to_forecast[test]]
        if len(rows):
            p[rows] = build_model().fit(x[train], y[train]).predict_proba(x[rows])
    return p


def walk_each(matches: pd.DataFrame, x: Floats, first: int, to_forecast: NDArray[np.bool_]) -> Floats:
    """Forecast like `walk`, with a separate model for each competition."""
    p = np.full((len(matches), 3), np.nan)
    for competition in matches["competition"][to_forecast].unique():
        rows = np.flatnonzero(matches["competition"] == competition)
        p[rows] = walk(matches.iloc[rows], x[rows], first, to_forecast[rows])
    return p


def base_rates(matches: pd.DataFrame, first: int, to_forecast: NDArray[np.bool_]) -> Floats:
    """Forecast each season with the shares of home wins, draws and away wins in earlier seasons.

    Parameters
    ----------
    matches : played matches, n rows.
    first : year in which the first forecast season begins.
    to_forecast : (n,) mask of the matches to count and to forecast.

    Returns
    -------
    Probabilities (n, 3) ordered home, draw, away; NaN for earlier seasons and outside `to_forecast`.
    """
    y, p = outcomes(matches), np.full((len(matches), 3), np.nan)
    for _, train, test in walk_forward(matches, first):
        p[test[to_forecast[test]]] = base_rate(y[train[to_forecast[train]]])
    return p


def _known(matches: pd.DataFrame, columns: Sequence[str]) -> bool:
    return bool(matches[list(columns)].notna().all(axis=1).any())


def top_tier(matches: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask (n,) of the first-tier matches."""
    return np.asarray(matches["competition"].map(tier_of).eq(1))


def evaluate(matches: pd.DataFrame, first: int, last: int) -> Forecasts:
    """Forecast the first-tier matches of several seasons with every forecaster that the data allows.

    Without shots in the data, the models of shots and of odds are omitted. Without odds, the models of odds and of past
    odds and the bookmakers are omitted.

    Parameters
    ----------
    matches : played matches; seasons after `last` are ignored. Lower tiers are used to train ratings and
        models, but are not forecast.
    first, last : years in which the first and the last forecast season begin.

    Raises
    ------
    LeakageError
        If a model scores implausibly well: see `features.leak_alarm`.
    """
    in_time = season_starts(matches["season"]) <= last
    table = matches[in_time & decided_on_pitch(matches)].reset_index(drop=True)
    probabilities = _forecasts(table, first)
    forecast = top_tier(table) & (season_starts(table["season"]) >= first)
    result = Forecasts(
        table[forecast].reset_index(drop=True),
        outcomes(table[forecast]),
        {name: p[forecast] for name, p in probabilities.items()},
    )
    honest = honest_forecasts(table, first)
    _check(result, honest[forecast] if honest is not None else None)
    return result


def _check(result: Forecasts, honest: Floats | None) -> None:
    """Stop if a model scores implausibly well."""
    closing, odds = result.probabilities.get(CLOSING), shin(result.matches[list(ODDS)].to_numpy(float))
    for name, p in result.probabilities.items():
        if name.startswith("model"):
            known = ~np.isnan(p).any(axis=1)
            references = (rows[known] if rows is not None else None for rows in (closing, honest, odds))
            check_leakage(p[known], result.outcomes[known], *references)


def _rating_features(table: pd.DataFrame) -> Floats:
    run = compute_ratings(table)
    return model_input(run.home, run.away, table["neutral"].to_numpy(bool))[:, : len(RATING_FEATURES)]


def _forecasts(table: pd.DataFrame, first: int) -> dict[str, Floats]:
    """Return the probabilities (n, 3) by name of the forecaster; NaN for matches without its forecast."""
    check_features(table, _rating_features, RATING_FEATURES)
    run, top = compute_ratings(table), top_tier(table)
    x = model_input(run.home, run.away, table["neutral"].to_numpy(bool), bookmaker_log_odds(table))
    goals, plain = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]], x[:, [FEATURES.index(REFERENCE_FEATURE)]]
    blend = partial(outcome_model, features=GOAL_FEATURES, blend=True)
    forecasts = {
        "model, goals": walk(table, goals, first, top),
        "blend, goals": walk(table, goals, first, top, blend),
    }
    if table["competition"][top].nunique() > 1:
        forecasts["per league, goals"] = walk_each(table, goals, first, top)
    before, closing = (shin(table[list(columns)].to_numpy(float)) for columns in (ODDS, CLOSING_ODDS))
    has_shots, priced = _known(table, SHOTS), _known(table, ODDS)
    for name, group, possible in (
        ("model, shots", FeatureGroup.SHOTS, has_shots),
        ("model, market", FeatureGroup.MARKET, priced or _known(table, CLOSING_ODDS)),
        ("model, odds", FeatureGroup.SHOTS_AND_ODDS, has_shots and priced),
    ):
        if possible:
            names = FEATURE_GROUPS[group]
            columns = [FEATURES.index(column) for column in names]
            forecasts[name] = walk(table, x[:, columns], first, top, partial(outcome_model, features=names))
    forecasts |= {
        "base rate": base_rates(table, first, top),
        "plain Elo (K=20)": walk(table, plain, first, top, reference_model),
        "Dixon-Coles": dixon_coles.walk_forward_forecasts(table, first),
    }
    bookmakers = {BEFORE: before, CLOSING: closing}
    return forecasts | {name: p for name, p in bookmakers.items() if np.isfinite(p).any()}


def pools(matches: pd.DataFrame, first: int) -> Forecasts:
    """Forecast with three models that learn from different competitions, to choose among them; goal features only.

    Parameters
    ----------
    matches : played matches of several tiers.
    first : year in which the first forecast season begins.

    Returns
    -------
    Forecasts for the matches of all tiers: `pooled` learns from all competitions, `first tiers only`
    from all first tiers, `per competition` from the competition that it forecasts.
    """
    run = compute_ratings(matches)
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))
    x = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]]
    top, all_rows, y = top_tier(matches), np.ones(len(matches), bool), outcomes(matches)
    first_tiers = np.full((len(matches), 3), np.nan)
    month = matches["kick_off"].dt.strftime("%Y-%m")
    for train, test in by_month(matches[top], first):
        rows = np.flatnonzero(top)[train]
        tested = np.flatnonzero(month == month.iloc[np.flatnonzero(top)[test[0]]])
        first_tiers[tested] = outcome_model().fit(x[rows], y[rows]).predict_proba(x[tested])
    forecasts = {
        "pooled": walk(matches, x, first),
        "first tiers only": first_tiers,
        "per competition": walk_each(matches, x, first, all_rows),
    }
    return Forecasts(matches, y, forecasts)


def report(title: str, forecasts: Forecasts, model: str) -> str:
    """Format a table of all forecasters: scores, and the RPS of `model` minus that of the forecaster."""
    lines = [forecasts.line(name, model) for name in forecasts.probabilities]
    seasons = forecasts.matches["season"]
    out = [
        f"{title}, {seasons.min()} to {seasons.max()}",
        f"{'':24}{'N':>6}  {'RPS':>6} ± s.e.   {'log loss':>8}  {'Brier':>6}  {'acc.':>5}  {'ECE':>5}  "
        f"RPS of '{model}' minus this",
    ]
    out += [
        f"{line['forecaster']:24}{line['n']:6.0f}  {line['rps']:.4f} ± {line['rps_se']:.4f}  {line['log_loss']:8.4f}  "
        f"{line['brier']:.4f}  {line['accuracy']:.3f}  {line['ece']:.3f}  "
        + ("" if line["forecaster"] == model else f"{-float(line['difference']):+.4f} ± {line['difference_se']:.4f}")
        for line in lines
    ]
    by_name = {str(line["forecaster"]): line for line in lines}
    if "base rate" in by_name:
        skill = 1 - float(by_name[model]["rps"]) / float(by_name["base rate"]["rps"])
        out.append(f"skill of '{model}' over the base rate: {skill:.3f}")
    return "\n".join(out)


def verdicts(forecasts: Forecasts, targets: Sequence[Target]) -> str:
    """Format one line for each target: its limit, the score, and `met` or the gap to the limit.

    A target whose forecasters the data does not allow is `not measured`.
    """
    return "\n".join(_verdict(forecasts, target) for target in targets)


def _verdict(forecasts: Forecasts, target: Target) -> str:
    above = target.above or target.forecaster
    name = f"target {METRICS[target.metric]} of '{target.forecaster}' <="
    if not {target.forecaster, above} <= set(forecasts.probabilities):
        limit = f"that of '{above}' + {target.limit:.4f}" if target.above else f"{target.limit:.4f}"
        return f"{name} {limit}: not measured, the data has no such forecasts"
    score = round(float(forecasts.line(target.forecaster, above)[target.metric]), 4)
    offset = round(float(forecasts.line(above, target.forecaster)[target.metric]), 4) if target.above else 0.0
    highest = round(offset + target.limit, 4)
    verdict = f"missed by {score - highest:.4f}" if score > highest else "met"
    return f"{name} {highest:.4f}: {score:.4f}, {verdict}"
