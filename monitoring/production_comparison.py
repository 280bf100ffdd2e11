"""Comparison of a candidate with production on the same matches, by two witnesses: the results, and the closing odds.

The difference in RPS of two forecasts of a match depends on its outcome alone. Its expectation under the closing odds,
without their margin, has the same mean as the realised difference if the odds are calibrated, and lacks the luck of the
results, which is nearly all of the variance. (It is the realised difference with its luck as control variate.)
The odds are believed only as far as the results allow: they must be calibrated on these matches, and the realised
difference must not be significantly larger than the expected one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import metrics
from monitoring.calibration import calibration_limit
from monitoring.confidence_sequence import matches_needed, mean_bounds
from monitoring.differences import Difference
from monitoring.performance import probability_columns
from monitoring.sample_size import MIN_MATCHES

Floats = NDArray[np.float64]

PACE = timedelta(weeks=8)
"""The compared matches of this last period say how many are played in a day."""

MARKET_CALIBRATION_LEVEL = 0.99
"""Share of perfect forecasters that are within the limit for the calibration error of the odds."""


@dataclass(frozen=True)
class Witness:
    """What one kind of evidence says about the mean RPS difference, negative if the candidate is better.

    Attributes
    ----------
    difference : mean with the bounds of `monitoring.confidence_sequence`.
    needed : estimated number of all matches after which the upper bound is below the margin; None if it would not be.
    expected_on : day on which there are as many at the present pace; None if there are now, or would never be.
    """

    difference: Difference
    needed: int | None
    expected_on: date | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert it to its form in `reports/gate.json`."""
        expected = self.expected_on.isoformat() if self.expected_on else None
        return {**asdict(self.difference), "needed": self.needed, "expected_on": expected}


@dataclass(frozen=True)
class Comparison:
    """The candidate against production.

    Attributes
    ----------
    margin : RPS difference that the upper bound of a witness must be below.
    results : realised differences, of all matches.
    market : differences expected under the odds, of the matches with odds; None without any.
    residual : realised minus expected differences of those matches: below zero, the candidate knows more than the
        odds; near zero, it may only be closer to them.
    market_rejection : why the odds are not believed; None if they are, or if there are none.
    """

    margin: float
    results: Witness
    market: Witness | None = None
    residual: Difference | None = None
    market_rejection: str | None = None

    @property
    def is_worse(self) -> bool:
        """True if the results show that the candidate is worse, whatever the odds say."""
        return self.results.difference.low is not None and self.results.difference.low > 0

    @property
    def shown_by_results(self) -> bool:
        """True if the results show that the candidate is not worse by more than the margin."""
        return _is_shown(self.results, self.margin)

    @property
    def shown_by_market(self) -> bool:
        """True if the odds show it, and are believed."""
        return self.market is not None and self.market_rejection is None and _is_shown(self.market, self.margin)

    def to_dict(self) -> dict[str, Any]:
        """Convert it to its form in `reports/gate.json`."""
        return {
            "margin": self.margin,
            "results": self.results.to_dict(),
            "market": self.market.to_dict() if self.market else None,
            "residual": asdict(self.residual) if self.residual else None,
            "market_rejection": self.market_rejection,
        }


def _is_shown(witness: Witness, margin: float) -> bool:
    difference = witness.difference
    return difference.n >= MIN_MATCHES and difference.high is not None and difference.high < margin


def compare(both: pd.DataFrame, production: Floats, margin: float) -> Comparison:
    """Compare a candidate with production.

    Parameters
    ----------
    both : n settled rows of the candidate, columns of `monitoring.settlement.SCHEMA`; in any order.
    production : (n, 3) probabilities of production for the same matches.
    margin : RPS difference up to which the candidate does not count as worse.
    """
    order = np.lexsort((both["match_id"].to_numpy(str), both["kick_off"].to_numpy("datetime64[us]")))
    rows, y = both.iloc[order], both["outcome"].to_numpy(np.int64)[order]
    by_outcome = differences_by_outcome(probability_columns(rows, "model"), production[order])
    realised = by_outcome[np.arange(len(y)), y]
    lowest, highest = by_outcome.min(axis=1, initial=np.inf), by_outcome.max(axis=1, initial=-np.inf)
    results = _witness(realised, lowest, highest, margin, rows["kick_off"])
    odds = probability_columns(rows, "market")
    known = np.asarray(np.isfinite(odds).all(axis=1), bool)
    if not known.any():
        return Comparison(margin, results)
    expected = (by_outcome[known] * odds[known]).sum(axis=1)
    market = _witness(expected, lowest[known], highest[known], margin, rows.loc[known, "kick_off"])
    residual = mean_bounds(realised[known] - expected, lowest[known] - expected, highest[known] - expected)
    return Comparison(margin, results, market, residual, _market_rejection(odds[known], y[known], residual))


def differences_by_outcome(candidate: Floats, production: Floats) -> Floats:
    """Compute the RPS differences (n, 3), candidate minus production, that a home win, a draw and an away win give."""
    return metrics.rps_by_outcome(candidate) - metrics.rps_by_outcome(production)


def _witness(x: Floats, lowest: Floats, highest: Floats, margin: float, kick_offs: pd.Series) -> Witness:
    if not len(x):
        return Witness(mean_bounds(x, lowest, highest), None)
    needed = matches_needed(x, lowest, highest, margin)
    enough = None if needed is None else max(needed, MIN_MATCHES)
    return Witness(mean_bounds(x, lowest, highest), enough, _expected_on(enough, kick_offs))


def _expected_on(needed: int | None, kick_offs: pd.Series) -> date | None:
    """Extrapolate the day of the last match that is needed."""
    last = kick_offs.max()
    if needed is None or needed <= len(kick_offs):
        return None
    period = max(min(PACE, last - kick_offs.min()), timedelta(days=1))
    days = (needed - len(kick_offs)) * period / int((kick_offs > last - period).sum())
    latest = timedelta(days=10 * 365)
    return (last + days).date() if days < latest else None


def _market_rejection(odds: Floats, outcomes: NDArray[np.int64], residual: Difference) -> str | None:
    """Say why the odds are not believed; None if they are."""
    error, limit = metrics.calibration_error(odds, outcomes), calibration_limit(odds, MARKET_CALIBRATION_LEVEL)
    if error > limit:
        return f"the odds are not calibrated on these matches: error {error:.4f}, limit {limit:.4f}"
    if residual.low is not None and residual.low > 0:
        return "the results are significantly worse for the candidate than the odds expect"
    return None
