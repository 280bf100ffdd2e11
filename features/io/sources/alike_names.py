"""Names in the data that may belong to one club."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process

from features.names import fold

SIMILARITY_CUTOFF = 80
"""Minimum similarity, from 0 to 100, of two names that may belong to one club."""


def similar_names(matches: pd.DataFrame) -> list[tuple[str, str]]:
    """List pairs of names that may belong to one club: similar, and never opponents. The most similar come first."""
    codes, found = pd.factorize(matches[["home_team", "away_team"]].to_numpy().ravel())
    names, folded = list(found), [fold(name) for name in found]
    have_met = np.zeros((len(names), len(names)), dtype=bool)
    have_met[codes[::2], codes[1::2]] = True
    similarity = process.cdist(folded, folded, scorer=fuzz.WRatio, score_cutoff=SIMILARITY_CUTOFF, dtype=np.uint8)
    similarity[have_met | have_met.T] = 0
    pairs = [
        (-fuzz.ratio(folded[row], folded[column]), *sorted((names[row], names[column])))
        for row, column in np.argwhere(np.triu(similarity, 1))
    ]
    return [(name, other) for _, name, other in sorted(pairs)]
