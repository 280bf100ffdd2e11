"""How often the gate promotes by luck, and how many matches it needs: `python -m tests.benchmarks.gate [SEASONS]`.

Simulated matches have known probabilities; production's forecasts are these with noise of a size that real models have
(an RPS 0.0055 above that of closing odds; those of the project have 0.003 to 0.004). A candidate has noise of its own,
so that the differences between both vary as those of two real models do, and is moved towards or away from the true
probabilities until its expected difference is exactly the one of the row. One look after each day of ten matches, from
100 matches on.

`fixed` is Student's interval of the matches so far, which is valid for one look only. `results` is the confidence
sequence of the realised differences, `odds` that of the differences expected under the true probabilities in the place
of closing odds, and `gate` promotes on either, as `monitoring.production_comparison` does with its vetoes.
1,000 seasons take a few minutes.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from features.matches import OUTCOMES
from monitoring.conditions import NON_INFERIORITY_MARGIN
from monitoring.confidence_sequence import excludes_at_each_look
from monitoring.production_comparison import compare, differences_by_outcome
from monitoring.sample_size import MIN_MATCHES
from tests.support.simulated_matches import forecasts

Floats = NDArray[np.float64]

SEASON, DAY = 1800, 10
"""Matches of five leagues in a season, and matches between two looks."""
LONGEST = 12_000
WORSE, BETTER = (0.001, 0.002, 0.004), (0.0, -0.001, -0.002, -0.004)
RULES = ("fixed", "results", "odds", "gate")


def first_promotions(n: int, difference: float, rng: np.random.Generator) -> dict[str, float]:
    """Number of matches at which each rule first promotes; infinite if it does not."""
    truth, production, candidate = forecasts(n, difference, rng)
    y = (rng.random(n)[:, None] > truth.cumsum(axis=1)[:, :2]).sum(axis=1)
    by_outcome = differences_by_outcome(candidate, production)
    x, lowest, highest = by_outcome[np.arange(n), y], by_outcome.min(axis=1), by_outcome.max(axis=1)
    expected = (by_outcome * truth).sum(axis=1)
    looks = np.arange(1, n + 1)
    is_look = (looks >= MIN_MATCHES) & (looks % DAY == 0)
    mean = np.cumsum(x) / looks
    error = np.sqrt(np.maximum(np.cumsum(x**2) / looks - mean**2, 0) / np.maximum(looks - 1, 1))
    half = student.ppf(0.975, np.maximum(looks - 1, 1)) * error
    by_results = excludes_at_each_look(x, lowest, highest, NON_INFERIORITY_MARGIN)
    by_odds = excludes_at_each_look(expected, lowest, highest, NON_INFERIORITY_MARGIN)
    masks = {
        "fixed": (mean + half < NON_INFERIORITY_MARGIN) & (mean - half <= 0),
        "results": by_results,
        "odds": by_odds,
    }
    found = {name: _first(looks[mask & is_look]) for name, mask in masks.items()}
    rows = _settled(candidate, truth, y)
    for count in looks[(by_results | by_odds) & is_look]:
        comparison = compare(rows.iloc[:count], production[:count], NON_INFERIORITY_MARGIN)
        if not comparison.is_worse and (comparison.shown_by_results or comparison.shown_by_market):
            return {**found, "gate": float(count)}
    return {**found, "gate": np.inf}


def _first(looks: NDArray[np.int64]) -> float:
    return float(looks[0]) if len(looks) else np.inf


def _settled(candidate: Floats, odds: Floats, y: NDArray[np.int64]) -> pd.DataFrame:
    n = len(y)
    columns = {outcome: candidate[:, column] for column, outcome in enumerate(OUTCOMES)}
    columns |= {f"market_{outcome}": odds[:, column] for column, outcome in enumerate(OUTCOMES)}
    days = pd.Timestamp("2025-08-01", tz="UTC") + pd.to_timedelta(np.arange(n) // DAY, "D")
    return pd.DataFrame({**columns, "outcome": y, "kick_off": days, "match_id": [f"{i:06}" for i in range(n)]})


def main(seasons: int) -> None:
    """Print both tables."""
    rng = np.random.default_rng(1)
    print(f"candidates that are worse, {seasons} seasons of {SEASON} matches: share promoted at any look")
    print(f"{'difference':>12}" + "".join(f"{name:>9}" for name in RULES))
    for difference in WORSE:
        found = [first_promotions(SEASON, difference, rng) for _ in range(seasons)]
        shares = [float(np.mean([np.isfinite(run[name]) for run in found])) for name in RULES]
        print(f"{difference:>+12.3f}" + "".join(f"{share:>9.1%}" for share in shares), flush=True)
    runs = max(seasons // 20, 5)
    print(f"\ncandidates that are not worse, {runs} runs of {LONGEST} matches: median of the matches needed")
    print(f"{'difference':>12}" + "".join(f"{name:>9}" for name in RULES))
    for difference in BETTER:
        found = [first_promotions(LONGEST, difference, rng) for _ in range(runs)]
        medians = [float(np.median([run[name] for run in found])) for name in RULES]
        print(f"{difference:>+12.3f}" + "".join(f"{median:>9.0f}" for median in medians), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
