"""The arena: the platform's model, the references and any recipe on the same frozen sets of matches."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import backtest
from features.backtest import BEFORE, CLOSING, Forecasts
from features.comparison import comparison
from features.comparison import markdown as comparison_markdown
from features.errors import InvalidInputError
from features.honest_forecasts import honest_forecasts
from features.leak_alarm import check_leakage
from features.matches import ODDS, outcomes
from features.matrix import FEATURE_GROUPS, FEATURES, GOAL_FEATURES, REFERENCE_FEATURE, FeatureGroup, model_input
from features.models import outcome_model, reference_model
from features.odds import CLOSING_ODDS, bookmaker_log_odds, shin
from features.rating_history import compute_ratings
from features.ratings import dixon_coles
from features.recipes import Recipe

Floats = NDArray[np.float64]

SUBJECT = "model, goals"
"""The forecaster that all others are compared with: the platform's model with `GOAL_FEATURES`."""


@dataclass(frozen=True)
class BenchmarkSet:
    """Matches whose forecasts are compared, and everything that may be learnt from.

    Attributes
    ----------
    matches : matches table, n rows, in order of kick-off; all are decided on the pitch.
    first : year in which the first forecast season begins.
    forecast : (n,) mask of the matches to forecast.
    others : probabilities of further forecasters by name, (n, 3) ordered home, draw, away; NaN where there are none.
    notes : sentences on what is missing or differs from the frozen set.
    with_dixon_coles : whether the model of Dixon & Coles, fitted on clubs, is among the references.
    """

    name: str
    title: str
    matches: pd.DataFrame
    first: int
    forecast: NDArray[np.bool_]
    others: Mapping[str, Floats] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    with_dixon_coles: bool = True

    def digest(self) -> str:
        """Hash the ids and outcomes of the matches to forecast: figures with equal digests are comparable."""
        rows = self.matches[self.forecast]
        text = "\n".join(f"{match} {y}" for match, y in zip(rows["match_id"], outcomes(rows), strict=True))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Result:
    """How forecasters compare on one set; `table` has the columns of `features.comparison.comparison`."""

    name: str
    title: str
    seasons: tuple[str, str]
    digest: str
    notes: tuple[str, ...]
    table: pd.DataFrame


def contest(entry: BenchmarkSet, recipes: Mapping[str, Recipe]) -> Result:
    """Forecast a set, month by month and out of sample, with every forecaster.

    Parameters
    ----------
    recipes : recipes by name; a recipe of odds is left out where no match has any.

    Raises
    ------
    InvalidInputError
        If a recipe cannot be fitted or does not predict three probabilities.
    LeakageError
        If a forecaster that learns from the matches scores implausibly well: see `features.leak_alarm`.
    """
    table, first, forecast = entry.matches, entry.first, entry.forecast
    run = compute_ratings(table)
    x = model_input(run.home, run.away, table["neutral"].to_numpy(bool), bookmaker_log_odds(table))

    def columns(names: tuple[str, ...]) -> Floats:
        return x[:, [FEATURES.index(name) for name in names]]

    before, closing = (shin(table[list(names)].to_numpy(float)) for names in (ODDS, CLOSING_ODDS))
    learnt = {SUBJECT: backtest.walk(table, columns(GOAL_FEATURES), first, forecast, outcome_model)}
    if np.isfinite(before).any() or np.isfinite(closing).any():
        names = FEATURE_GROUPS[FeatureGroup.MARKET]
        build = partial(outcome_model, features=names)
        learnt["model, market"] = backtest.walk(table, columns(names), first, forecast, build)
    notes = list(entry.notes)
    for name, recipe in recipes.items():
        inputs = columns(recipe.columns)
        if np.isnan(inputs).all(axis=0).any():
            notes.append(f"recipe {name} is left out: no match has its odds")
            continue
        try:
            learnt[f"recipe {name}"] = backtest.walk(table, inputs, first, forecast, recipe.build)
        except Exception as error:  # whatever the engineer's code raises
            raise InvalidInputError(f"recipe {name} cannot forecast {entry.name}: {error!r}"[:300]) from error
    same_leagues = table["competition"].isin(table["competition"][forecast].unique()).to_numpy()
    references = {
        "base rate": backtest.base_rates(table, first, same_leagues),
        "plain Elo (K=20)": backtest.walk(table, columns((REFERENCE_FEATURE,)), first, forecast, reference_model),
    }
    if entry.with_dixon_coles:
        references["Dixon-Coles"] = dixon_coles.walk_forward_forecasts(table, first)
    markets = {BEFORE: before, CLOSING: closing}
    everybody = {**learnt, **references, **entry.others, **markets}
    rows = forecast & ~np.isnan(learnt[SUBJECT]).any(axis=1)
    forecasts, honest = Forecasts(table, outcomes(table), everybody).only(rows), honest_forecasts(table, first)
    for name in learnt:
        check_leakage(
            forecasts.probabilities[name],
            forecasts.outcomes,
            closing[rows],
            honest[rows] if honest is not None else None,
            before[rows],
        )
    seasons = forecasts.matches["season"]
    return Result(
        entry.name,
        entry.title,
        (str(seasons.min()), str(seasons.max())),
        entry.digest(),
        tuple(notes),
        comparison(forecasts, SUBJECT),
    )


def markdown(results: list[Result], skipped: Mapping[str, str]) -> str:
    """Format all sets as one Markdown table, with the notes below it.

    Parameters
    ----------
    skipped : why a set is left out, by its name.
    """
    tables = [result.table.assign(set=result.name) for result in results]
    notes = [
        f"- {result.name}: {result.title}, {result.seasons[0]} to {result.seasons[1]}, digest {result.digest}"
        + "".join(f"; {note}" for note in result.notes)
        for result in results
    ]
    notes += [f"- {name} is left out: {reason}" for name, reason in skipped.items()]
    return "\n".join([comparison_markdown(pd.concat(tables, ignore_index=True), SUBJECT), "", *notes, ""])


def document(results: list[Result], skipped: Mapping[str, str]) -> dict[str, object]:
    """Return the same as JSON."""
    return {
        "compared_with": SUBJECT,
        "sets": [
            {
                "name": result.name,
                "title": result.title,
                "seasons": list(result.seasons),
                "digest": result.digest,
                "notes": list(result.notes),
                "forecasters": result.table.astype(object).where(result.table.notna(), None).to_dict("records"),
            }
            for result in results
        ],
        "skipped": dict(skipped),
    }
