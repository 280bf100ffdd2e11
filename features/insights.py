"""What stands behind a forecast: expected goals, the likeliest scores, what moved it, how much was known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.explanations import explain, of_both_orders
from features.matches import ODDS
from features.matrix import FEATURES, swap_sides
from features.pool import OddsPool
from features.ratings.rating_state import PLAYED
from features.scorelines import scorelines

Floats = NDArray[np.float64]

LIKELIEST = 5
"""Scores that are published of each match."""

FIELDS = (
    pa.field("home_matches", pa.int32()),  # how many of each club's matches its ratings have seen
    pa.field("away_matches", pa.int32()),
    pa.field("expected_home_goals", pa.float64()),
    pa.field("expected_away_goals", pa.float64()),
    pa.field(
        "scorelines", pa.list_(pa.struct([("home", pa.int8()), ("away", pa.int8()), ("probability", pa.float64())]))
    ),
    pa.field("usual_log_odds", pa.float64()),  # these two are null for a model whose parts cannot be told apart
    pa.field("shares", pa.list_(pa.struct([("rating", pa.string()), ("share", pa.float64())]))),
    *(pa.field(name, pa.float64()) for name in ODDS),  # the odds that went into the forecast, null where none did
    pa.field("odds_known_at", pa.timestamp("us", tz="UTC")),
)
"""Columns beside a published forecast; null in rows that an older version published."""


def insights(model: Any, x: Floats, neutral: NDArray[np.bool_], p: Floats, home: Floats, away: Floats) -> pd.DataFrame:
    """The columns `FIELDS` of n forecasts, those of the odds excepted.

    Parameters
    ----------
    model : what made them, with `features` and, where it can be explained, `estimator`.
    x : (n, len(FEATURES)) model input.
    neutral : (n,) True where neither club is at home.
    p : (n, 3) the forecasts, with which everything here agrees.
    home, away : (n, len(STATE_COLUMNS)) states of the clubs.
    """
    scores = scorelines(p, x[:, [FEATURES.index(name) for name in ("log_home_goals", "log_away_goals")]])
    told = _explained(model, x, neutral)
    return pd.DataFrame(
        {
            "home_matches": home[:, PLAYED].astype(int),
            "away_matches": away[:, PLAYED].astype(int),
            "expected_home_goals": scores.expected_goals[:, 0],
            "expected_away_goals": scores.expected_goals[:, 1],
            "scorelines": [
                [{"home": h, "away": a, "probability": chance} for h, a, chance in scores.most_likely(row, LIKELIEST)]
                for row in range(len(p))
            ],
            "usual_log_odds": [one[0] for one in told],
            "shares": [one[1] for one in told],
        }
    )


def _explained(
    model: Any, x: Floats, neutral: NDArray[np.bool_]
) -> list[tuple[float | None, list[dict[str, Any]] | None]]:
    estimator = getattr(model, "estimator", None)
    if not isinstance(estimator, RatingBlend | OddsPool):
        return [(None, None)] * len(x)
    columns = [FEATURES.index(name) for name in model.features]
    told = explain(estimator, x[:, columns], model.features)
    if neutral.any():
        back = explain(estimator, swap_sides(x[neutral])[:, columns], model.features)
        for row, other in zip(np.flatnonzero(neutral), back, strict=True):
            told[row] = of_both_orders(told[row], other)
    return [
        (one.average, [{"rating": name, "share": share} for name, share in one.contributions.items()]) for one in told
    ]
