"""The public Python API: from matches to a candidate in the promotion gate.

    from features import api

    matches = api.load_matches()
    features = api.features_for(matches, as_of)
    print(api.backtest(estimator, matches))
    api.submit(estimator, "my_logit", "fewer columns").wait()

An estimator is any unfitted scikit-learn classifier. It is fitted on (n, len(columns)) model input and the labels 0
home, 1 draw, 2 away, and predicts probabilities (n, 3) in this order. What `__all__` names stays as it is within a
minor version; the settings are the variables `TOUCHLINE_*` of every other process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
from threadpoolctl import threadpool_limits

from features import backtest as walk_forward
from features.comparison import comparison, markdown
from features.errors import InvalidInputError, NotPublishedError
from features.honest_forecasts import honest_forecasts
from features.io import sources, submissions
from features.io.clock import Clock
from features.io.installed_recipes import InstalledRecipes
from features.io.model_artefact import untrusted_types
from features.io.settings import Settings
from features.io.sources import bundled
from features.io.store import Lake
from features.leak_alarm import check_leakage
from features.matches import ODDS, as_known_at, decided_on_pitch, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, ODDS_FEATURES, REFERENCE_FEATURE, feature_frame
from features.models import outcome_model, reference_model
from features.odds import CLOSING_ODDS, shin
from features.rating_history import compute_ratings
from features.recipes import Recipe, SubmittedRecipe, SubmittedTypes
from features.splits import season_starts

__all__ = ["FEATURES", "GOAL_FEATURES", "Backtest", "Candidate", "backtest", "features_for", "load_matches", "submit"]

Floats = NDArray[np.float64]

SUBJECT = "estimator"
"""Name of the judged estimator in a `Backtest`."""

_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Backtest:
    """Out-of-sample forecasts of an estimator and its references, and how they compare; printing it shows a table.

    Attributes
    ----------
    table : one row for each forecaster, columns as in `features.comparison.comparison`.
    forecasts : one row for each match: match_id, season, kick_off, home_team, away_team, outcome (0 home, 1 draw,
        2 away), and the estimator's probabilities home, draw, away.
    """

    table: pd.DataFrame
    forecasts: pd.DataFrame = field(repr=False)

    def __str__(self) -> str:
        """Format the table as Markdown."""
        return markdown(self.table, SUBJECT)


@dataclass(frozen=True)
class Candidate:
    """A submitted estimator, which the pipeline trains as soon as it runs.

    Attributes
    ----------
    id : names the submission; Dagster shows it as `submission` in the configuration of the run.
    """

    id: str
    lake: Lake = field(repr=False)

    def outcome(self) -> dict[str, Any] | None:
        """Return what became of it, a dict with `version` and `what_happened`; None if it still waits.

        Raises
        ------
        InvalidInputError
            If the pipeline refused it; the message says why.
        """
        document = submissions.outcome(self.lake, self.id)
        if document is not None and (refusal := document.get("refused")) is not None:
            raise InvalidInputError(f"the pipeline refused {self.id}: {refusal}")
        return document

    def wait(self, timeout_seconds: float = 600.0) -> int:
        """Wait until the pipeline has trained it, and return the number of its version, which is staged.

        Raises
        ------
        InvalidInputError
            If the pipeline refused it.
        NotPublishedError
            If there is no outcome in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while (document := self.outcome()) is None:
            if time.monotonic() >= deadline:
                raise NotPublishedError(
                    f"{self.id} has not been trained after {timeout_seconds:.0f} seconds: a running pipeline takes it "
                    "up within a minute (`make up`); if its run failed, Dagster shows why"
                )
            time.sleep(min(_POLL_SECONDS, max(deadline - time.monotonic(), 0.0)))
        return int(document["version"])


def load_matches(competitions: Sequence[str] | None = None, settings: Settings | None = None) -> pd.DataFrame:
    """Load results and fixtures from the configured sources, as known at the platform's clock.

    By default this is the bundled Premier League as of Friday 13 March 2026, or where `touchline advance` moved it.

    Parameters
    ----------
    competitions : slugs; default: the setting `TOUCHLINE_COMPETITIONS`.
    settings : default: those of the environment.

    Returns
    -------
    DataFrame with the columns of `features.matches.SCHEMA`, in order of kick-off; no result is later than the clock.

    Raises
    ------
    SourceError, InvalidInputError
        If a source cannot be read, or does not offer a competition.
    """
    settings = settings or Settings()
    as_of = Clock(settings).as_of()
    reader = sources.table_reader(settings)
    tables = [sources.load(settings, slug, reader=reader).matches for slug in competitions or settings.competitions]
    table = pd.concat(tables, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)
    return as_known_at(table, as_of)


def features_for(matches: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Compute the model input of every match, as every process of the platform does.

    A match's row uses only results of earlier days that were known at `as_of`, and odds that were known by then.

    Parameters
    ----------
    matches : a matches table, n rows; fixtures may be among them.
    as_of : timezone-aware; later results and odds count as unknown.

    Returns
    -------
    DataFrame (n rows, in order of kick-off) with match_id, competition, season, kick_off, home_team, away_team, status,
    and the columns `FEATURES`.

    Raises
    ------
    InvalidInputError
        If `as_of` has no timezone.
    """
    known = as_known_at(matches, as_of).sort_values(["kick_off", "match_id"], ignore_index=True)
    history = compute_ratings(known)
    return feature_frame(known, history.home, history.away).drop(columns=["home_elo", "away_elo"])


def backtest(
    estimator: BaseEstimator,
    matches: pd.DataFrame,
    *,
    columns: Sequence[str] = GOAL_FEATURES,
    first_season: int = 2021,
    last_season: int | None = None,
) -> Backtest:
    """Forecast past seasons out of sample, and compare with the platform's model, the references and the odds.

    Before each month the estimator is fitted anew on the matches of earlier months. Ratings know the results of earlier
    days only. First tiers are forecast; lower tiers are learnt from.

    Parameters
    ----------
    estimator : unfitted classifier; it is cloned.
    matches : a matches table; only played matches are used.
    columns : input columns of the estimator, from `FEATURES`. The platform's model has `GOAL_FEATURES`.
    first_season, last_season : years in which the first and the last forecast season begin; default: up to the latest.

    Raises
    ------
    InvalidInputError
        If a column is unknown, no match can be forecast, or the estimator does not predict three probabilities.
    LeakageError
        If the estimator scores implausibly well: see `features.leak_alarm`.
    """
    recipe = Recipe(_cloned(estimator), tuple(columns))
    in_time = season_starts(matches["season"]) <= (last_season if last_season is not None else np.inf)
    table = matches[in_time & decided_on_pitch(matches)].sort_values(["kick_off", "match_id"], ignore_index=True)
    top = walk_forward.top_tier(table)
    with threadpool_limits(1):  # the problems are small: threads would mostly wait for each other
        forecasts = _all_forecasts(recipe, table, first_season, top)
        forecast = top & ~np.isnan(forecasts[SUBJECT]).any(axis=1)
        if not forecast.any():
            raise InvalidInputError(
                f"no match of season {first_season} or later can be forecast: there must be an earlier season"
            )
        honest = honest_forecasts(table, first_season)
    rows, y = table[forecast].reset_index(drop=True), outcomes(table[forecast])
    result = walk_forward.Forecasts(rows, y, {name: p[forecast] for name, p in forecasts.items()})
    odds, closing = (shin(rows[list(names)].to_numpy(float)) for names in (ODDS, CLOSING_ODDS))
    p = result.probabilities[SUBJECT]
    check_leakage(p, y, closing, honest[forecast] if honest is not None else None, odds)
    keys = rows[["match_id", "season", "kick_off", "home_team", "away_team"]]
    return Backtest(comparison(result, SUBJECT), keys.assign(outcome=y, home=p[:, 0], draw=p[:, 1], away=p[:, 2]))


def submit(
    estimator: BaseEstimator,
    name: str,
    reason: str,
    *,
    columns: Sequence[str] = GOAL_FEATURES,
    settings: Settings | None = None,
) -> Candidate:
    """Put a candidate into the promotion gate.

    The pipeline trains the estimator on the matches in the lake with the job `train_model`: evaluated walk-forward,
    registered in MLflow, staged, forecast in shadow and judged like every other version. A candidate that is staged is
    replaced.

    Parameters
    ----------
    estimator : unfitted classifier of scikit-learn's own classes; it is cloned. For a class of your own, install a
        recipe: workers must have its code.
    name : lower-case letters, digits and `_`; shown wherever the version is. Not the name of a recipe.
    reason : what is new in this model; stored with the version.
    columns : input columns of the estimator, from `FEATURES`.
    settings : name the lake; default: those of the environment.

    Raises
    ------
    InvalidInputError
        If the estimator cannot be fitted, does not predict three probabilities, or has classes that workers would not
        load; or if name, reason or columns cannot be used.
    """
    settings = settings or Settings()
    if name in InstalledRecipes(settings.recipes).names():
        raise InvalidInputError(f"{name!r} is a recipe: launch train_model recipe={name}, or choose another name")
    recipe = SubmittedRecipe(_cloned(estimator), tuple(columns))
    _rehearse(recipe)
    lake = Lake(settings.lake_root)
    written = submissions.write(lake, recipe.build(), name, recipe.columns, reason, Clock.now())
    return Candidate(written.id, lake)


def _cloned(estimator: BaseEstimator) -> Callable[[], Any]:
    """Return a factory of unfitted clones."""
    if not isinstance(estimator, BaseEstimator) or not is_classifier(estimator):
        raise InvalidInputError(f"the estimator is no scikit-learn classifier: {estimator!r}"[:300])
    if not hasattr(estimator, "predict_proba"):
        raise InvalidInputError(f"the estimator predicts no probabilities: {estimator!r}"[:300])
    return partial(clone, estimator)


def _all_forecasts(recipe: Recipe, table: pd.DataFrame, first: int, top: NDArray[np.bool_]) -> dict[str, Floats]:
    """Return the probabilities (n, 3) by name of the forecaster; NaN for matches without its forecast."""
    history = compute_ratings(table)
    features = feature_frame(table, history.home, history.away)

    def walk(columns: Sequence[str], build: Callable[[], Any]) -> Floats:
        return walk_forward.walk(table, features[list(columns)].to_numpy(float), first, top, build)

    before, closing = (shin(table[list(columns)].to_numpy(float)) for columns in (ODDS, CLOSING_ODDS))
    return {
        SUBJECT: walk(recipe.columns, lambda: _Checked(recipe)),
        "platform's model": walk(GOAL_FEATURES, outcome_model),
        "plain Elo (K=20)": walk((REFERENCE_FEATURE,), reference_model),
        "base rate": walk_forward.base_rates(table, first, top),
        "odds before the match": before,
        walk_forward.CLOSING: closing,
    }


class _Checked:
    """An estimator whose errors and predictions are checked: an error of its own becomes one sentence."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.estimator = recipe.build()

    def fit(self, X: Any, y: Any) -> _Checked:  # noqa: N803 - scikit-learn's name
        try:
            self.estimator.fit(X, y)
        except Exception as error:  # whatever the engineer's code raises
            raise InvalidInputError(f"the estimator cannot be fitted: {error!r}"[:300]) from error
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        self._recipe.check_fitted(self.estimator, X)
        return self.estimator.predict_proba(X)


def _rehearse(recipe: SubmittedRecipe) -> None:
    """Fit on two bundled seasons, so that a mistake shows here and not in a run of the pipeline minutes later."""
    matches = bundled.load().tail(760).sort_values(["kick_off", "match_id"], ignore_index=True)
    features = features_for(matches, matches["kick_off"].max().to_pydatetime() + pd.Timedelta(days=2))
    x = features[list(recipe.columns)].to_numpy(float, copy=True)
    # the bundled league has no odds, but a model of odds is trained on matches of which most have some
    for column, (name, stand_in) in enumerate(zip(recipe.columns, map(_stand_in, recipe.columns), strict=True)):
        if name in ODDS_FEATURES:
            x[: len(x) * 9 // 10, column] = features[stand_in].to_numpy(float)[: len(x) * 9 // 10]
    model = _Checked(recipe).fit(x, outcomes(matches))
    model.predict_proba(x[-10:])
    if untrusted := untrusted_types(model.estimator, SubmittedTypes().all_trusted_types()):
        raise InvalidInputError(
            f"workers would not load {', '.join(untrusted)}: a submitted estimator consists of scikit-learn's classes "
            "that skops trusts; for any other, install a recipe (features.recipes.Recipe) that names them"
        )


def _stand_in(column: str) -> str:
    """Return the goal feature of the same side, for a column of odds."""
    return column.replace("odds", "goals") if column in ODDS_FEATURES else column
