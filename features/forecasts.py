"""Forecasts from ratings and fixtures; batch and online share these steps."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import LeakageError, UnknownTeamError
from features.forecast_details import FIELDS, forecast_details
from features.forecast_schemas import FORECASTS
from features.matches import ODDS, OUTCOMES
from features.matrix import FEATURES, ODDS_FEATURES, model_input, swap_sides
from features.odds import bookmaker_log_odds
from features.pool import has_odds
from features.rating_history import STATE_COLUMNS
from features.teams import suggest

Floats = NDArray[np.float64]

SCHEMA = FORECASTS

PUBLISHED = pa.schema([*SCHEMA, *FIELDS])
"""A week's table of published forecasts: `SCHEMA` and the columns of `features.forecast_details`."""


class Model(Protocol):
    """Interface of a model, for example `features.io.registry.LoadedModel`."""

    @property
    def features(self) -> tuple[str, ...]: ...

    def predict_proba(self, x: Floats) -> Floats: ...


def uses_odds(model: Model) -> bool:
    """Whether a model uses the odds before a match."""
    return not set(ODDS_FEATURES).isdisjoint(model.features)


def states_of(team_states: pd.DataFrame, teams: pd.Series, competition: pd.Series) -> pd.DataFrame:
    """Look up the state row of each (competition, team), in order; raises UnknownTeamError."""
    keys = pd.MultiIndex.from_arrays([competition, teams])
    table = team_states.set_index(["competition", "team"])
    missing = ~keys.isin(table.index)
    if missing.any():
        where, name = keys[int(missing.argmax())]
        known = team_states.loc[team_states["competition"] == where, "team"]
        raise UnknownTeamError(
            f"club {name!r} has no state in {where}; nearest known: {', '.join(suggest(str(name), set(known)))}"
        )
    return table.loc[keys].reset_index()


def probabilities(
    model: Model, home: Floats, away: Floats, neutral: NDArray[np.bool_], odds_log_odds: Floats | None = None
) -> Floats:
    """Predict probabilities (n, 3), ordered home, draw, away; batch and online forecasts both call this.

    Parameters
    ----------
    home, away : (n, len(STATE_COLUMNS)) states of the clubs.
    neutral : (n,) True if neither club is at home.
    odds_log_odds : (n, 2) log-odds (`features.odds.bookmaker_log_odds`), None without odds.
    """
    return predict(model, model_input(home, away, neutral, odds_log_odds), neutral)


def predict(model: Model, x: Floats, neutral: NDArray[np.bool_]) -> Floats:
    """Predict probabilities (n, 3) from model input (n, len(FEATURES)).

    Models are trained on matches with a home side. On neutral ground, both orders of the clubs are forecast and pooled,
    so that the order has no effect.
    """
    if not len(x):  # estimators reject an empty table
        return np.empty((0, 3))
    columns = [FEATURES.index(name) for name in model.features]
    p = model.predict_proba(x[:, columns])
    if neutral.any():
        swapped = model.predict_proba(swap_sides(x[neutral])[:, columns])[:, ::-1]
        # Mean of the log-odds, so that explanations still add up. The bound is for a model that excludes one outcome in
        # one order and the others in the other: nothing would be left to divide by.
        pooled = np.sqrt(np.maximum(p[neutral] * swapped, np.finfo(float).tiny))
        p[neutral] = pooled / pooled.sum(axis=1, keepdims=True)
    return p


def forecast(
    model: Model,
    fixtures: pd.DataFrame,
    team_states: pd.DataFrame,
    model_version: int,
    trained_through: datetime,
    published_at: datetime,
) -> pd.DataFrame:
    """Forecast fixtures (a matches table, n rows) from the states of their clubs.

    A model with odds gets those known at `published_at`; for matches without odds it uses the ratings only.

    Parameters
    ----------
    team_states : states after the last known result, `RatingHistory.team_states`.
    model_version : registry version of the model.
    trained_through : kick-off of the last match that the model was trained on.
    published_at : time of publication, timezone-aware.

    Returns
    -------
    DataFrame with the columns of `PUBLISHED`, n rows.

    Raises
    ------
    LeakageError
        If a fixture does not kick off after the last training match and after the newest result or odds in use.
    UnknownTeamError
        If a club has no state.
    """
    home = states_of(team_states, fixtures["home_team"], fixtures["competition"])
    away = states_of(team_states, fixtures["away_team"], fixtures["competition"])
    features_as_of = pd.concat([side["features_as_of"] for side in (home, away)], axis=1).max(axis=1)
    # without any result in the ratings, the model's training data is the newest information
    features_as_of = features_as_of.fillna(pd.Timestamp(trained_through))
    log_odds = bookmaker_log_odds(fixtures, published_at) if uses_odds(model) else np.full((len(fixtures), 2), np.nan)
    odds = fixtures[[*ODDS, "odds_known_at"]].reset_index(drop=True).where(pd.Series(has_odds(log_odds)), axis=0)
    features_as_of = features_as_of.where(~(odds["odds_known_at"] > features_as_of), odds["odds_known_at"])
    kick_off = fixtures["kick_off"].reset_index(drop=True)
    late = (kick_off <= pd.Timestamp(trained_through)) | (kick_off <= features_as_of)
    if late.any():
        row = fixtures.iloc[int(late.to_numpy().argmax())]
        raise LeakageError(
            f"{row.match_id} kicks off {row.kick_off}, but the model was trained through {trained_through} "
            f"and the states include results up to {features_as_of.max()}; such a forecast would be leakage"
        )
    neutral = fixtures["neutral"].to_numpy(bool)
    home_states, away_states = (side[list(STATE_COLUMNS)].to_numpy(float) for side in (home, away))
    x = model_input(home_states, away_states, neutral, log_odds)
    p = predict(model, x, neutral)
    out = fixtures[["match_id", "competition", "season", "kick_off", "home_team", "away_team"]].reset_index(drop=True)
    for column, outcome in enumerate(OUTCOMES):
        out[outcome] = p[:, column]
    out["predicted_outcome"] = np.array(OUTCOMES)[p.argmax(axis=1)] if len(p) else pd.Series(dtype="str")
    out["model_version"] = model_version
    out["trained_through"] = pd.Timestamp(trained_through)
    out["features_as_of"] = features_as_of
    out["published_at"] = pd.Timestamp(published_at)
    details = forecast_details(model, x, neutral, p, home_states, away_states) if len(p) else None
    return out.reindex(columns=PUBLISHED.names) if details is None else pd.concat([out, details, odds], axis=1)
