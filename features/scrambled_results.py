"""Exact test for leakage: the features of a match may not change when results from its day on are scrambled.

A score says only that something leaks, and only if it leaks much. This test finds every dependence of a feature on the
match itself or on later ones, however small, and names the feature and the match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import LeakageError
from features.matches import ODDS, RESULT_COLUMNS

Floats = NDArray[np.float64]

CUTS = 3


def check_features(
    matches: pd.DataFrame, compute: Callable[[pd.DataFrame], Floats], names: Sequence[str] = (), seed: int = 0
) -> None:
    """Raise LeakageError if a feature of a match depends on results of its own day or later.

    Parameters
    ----------
    matches : played matches, n rows.
    compute : the features (n, n_features) of a matches table, in its row order; called `CUTS` + 1 times.
    names : names of the features, for the message.
    seed : of the permutations.
    """
    day = matches["kick_off"].dt.floor("D")
    honest = compute(matches)
    for share in np.arange(1, CUTS + 1) / (CUTS + 1):
        cut = day.iloc[np.argsort(day.to_numpy(), kind="stable")[int(share * len(day))]]
        scrambled = compute(_scramble(matches, (day >= cut).to_numpy(), seed))
        seen = (day <= cut).to_numpy()
        changed = (honest != scrambled) & ~(np.isnan(honest) & np.isnan(scrambled)) & seen[:, None]
        if changed.any():
            raise LeakageError(_message(matches, changed, names, cut))


def _scramble(matches: pd.DataFrame, later: NDArray[np.bool_], seed: int) -> pd.DataFrame:
    """Give the later matches the results of others: scores, shots and odds stay together, sides are swapped."""
    columns = [name for name in (*RESULT_COLUMNS, *ODDS) if name in matches]
    rows = np.flatnonzero(later)
    results = matches[columns].to_numpy(float, copy=True)
    results[rows] = results[np.random.default_rng(seed).permutation(rows)]
    other_side = [columns.index(_opposite(name)) for name in columns]
    results[rows] = results[rows][:, other_side]
    return matches.assign(**{name: results[:, i] for i, name in enumerate(columns)})


def _opposite(column: str) -> str:
    return column.replace("home", "away") if "home" in column else column.replace("away", "home")


def _message(matches: pd.DataFrame, changed: NDArray[np.bool_], names: Sequence[str], cut: pd.Timestamp) -> str:
    row, _ = np.argwhere(changed)[0]
    which = [names[i] if i < len(names) else f"feature {i + 1}" for i in np.flatnonzero(changed.any(axis=0)).tolist()]
    return (
        f"{', '.join(which)}: the value for {changed.any(axis=1).sum()} matches up to {cut:%Y-%m-%d}, such as "
        f"{matches['match_id'].iloc[row]}, changes when results from that day on are scrambled: it contains the result "
        "of the match or of later ones, which no forecast can know"
    )
