"""Details of a forecast: expected goals, most likely scores, explanation, and number of matches behind the ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.coverage_heads import CoverageHeads
from features.explanations import explain, explain_neutral_ground
from features.matches import ODDS
from features.matrix import FEATURES, swap_sides
from features.pool import OddsPool
from features.ratings.rating_state import PLAYED
from features.scorelines import scorelines

Floats = NDArray[np.float64]

N_SCORELINES = 5
"""Number of the most likely scores that are published for each match."""

FIELDS = (
    pa.field("home_matches", pa.int32()),  # number of the club's matches that its ratings include
    pa.field("away_matches", pa.int32()),
    pa.field("expected_home_goals", pa.float64()),
    pa.field("expected_away_goals", pa.float64()),
    pa.field(
        "scorelines", pa.list_(pa.struct([("home", pa.int8()), ("away", pa.int8()), ("probability", pa.float64())]))
    ),
    # Both are null for a model that cannot be explained. They keep their first names: the baseline, the contributions.
    pa.field("usual_log_odds", pa.float64()),
    pa.field("shares", pa.list_(pa.struct([("rating", pa.string()), ("share", pa.float64())]))),
    *(pa.field(name, pa.float64()) for name in ODDS),  # the odds that the model used, null without odds
    pa.field("odds_known_at", pa.timestamp("us", tz="UTC")),
)
"""Columns added to a published forecast; null in rows that were published by an older release."""


def forecast_details(
    model: Any, x: Floats, neutral: NDArray[np.bool_], p: Floats, home: Floats, away: Floats
) -> pd.DataFrame:
    """Compute the columns `FIELDS` of n forecasts, except those of the odds.

    Parameters
    ----------
    model : made the forecasts. `features` names its columns. Its `estimator` is explained if it is one of
        `features.models.outcome_model`.
    x : (n, len(FEATURES)) model input.
    neutral : (n,) True if neither club is at home.
    p : (n, 3) forecast probabilities, ordered home, draw, away; the score grid is scaled to them.
    home, away : (n, len(STATE_COLUMNS)) states of the clubs.

    Returns
    -------
    DataFrame of n rows; `usual_log_odds` and `shares` are None if the model cannot be explained.
    """
    scores = scorelines(p, x[:, [FEATURES.index(name) for name in ("log_home_goals", "log_away_goals")]])
    explanations = _explain(model, x, neutral)
    return pd.DataFrame(
        {
            "home_matches": home[:, PLAYED].astype(int),
            "away_matches": away[:, PLAYED].astype(int),
            "expected_home_goals": scores.expected_goals[:, 0],
            "expected_away_goals": scores.expected_goals[:, 1],
            "scorelines": [
                [
                    {"home": h, "away": a, "probability": probability}
                    for h, a, probability in scores.most_likely(row, N_SCORELINES)
                ]
                for row in range(len(p))
            ],
            "usual_log_odds": [baseline_log_odds for baseline_log_odds, _ in explanations],
            "shares": [contributions for _, contributions in explanations],
        }
    )


def _explain(
    model: Any, x: Floats, neutral: NDArray[np.bool_]
) -> list[tuple[float | None, list[dict[str, Any]] | None]]:
    """Return baseline log-odds and contributions of each forecast, None if the model cannot be explained."""
    estimator = getattr(model, "estimator", None)
    if not isinstance(estimator, RatingBlend | CoverageHeads | OddsPool):
        return [(None, None)] * len(x)
    columns = [FEATURES.index(name) for name in model.features]
    explanations = explain(estimator, x[:, columns], model.features)
    if neutral.any():
        swapped = explain(estimator, swap_sides(x[neutral])[:, columns], model.features)
        for row, other in zip(np.flatnonzero(neutral), swapped, strict=True):
            explanations[row] = explain_neutral_ground(explanations[row], other)
    return [
        (
            item.baseline_log_odds,
            [{"rating": name, "share": contribution} for name, contribution in item.contributions.items()],
        )
        for item in explanations
    ]
