"""Arrow schemas of the forecast tables in the lake.

This module imports only pyarrow, so that the API need not load scikit-learn.
"""

from __future__ import annotations

import pyarrow as pa

_TIMESTAMP = pa.timestamp("us", tz="UTC")

FORECASTS = pa.schema(
    [
        pa.field("match_id", pa.string(), nullable=False),
        pa.field("competition", pa.string(), nullable=False),
        pa.field("season", pa.string(), nullable=False),
        pa.field("kick_off", _TIMESTAMP, nullable=False),
        pa.field("home_team", pa.string(), nullable=False),
        pa.field("away_team", pa.string(), nullable=False),
        pa.field("home", pa.float64(), nullable=False),
        pa.field("draw", pa.float64(), nullable=False),
        pa.field("away", pa.float64(), nullable=False),
        pa.field("predicted_outcome", pa.string(), nullable=False),
        pa.field("model_version", pa.int64(), nullable=False),
        pa.field("trained_through", _TIMESTAMP, nullable=False),
        pa.field("features_as_of", _TIMESTAMP, nullable=False),
        pa.field("published_at", _TIMESTAMP, nullable=False),
    ]
)
"""Forecasts: three probabilities, the model that made them, and the newest result that they use."""

SCORES = pa.schema(
    [
        pa.field("home_goals", pa.int64(), nullable=False),
        pa.field("away_goals", pa.int64(), nullable=False),
        pa.field("outcome", pa.int64(), nullable=False),
        pa.field("rps", pa.float64(), nullable=False),
        pa.field("log_loss", pa.float64(), nullable=False),
        pa.field("brier", pa.float64(), nullable=False),
    ]
)
"""Columns that a settled forecast has in addition to `FORECASTS`: the result and the scores of the forecast."""
