"""A head that was learnt from another league: what a league with few matches of its own is shrunk towards.

A head is the model behind the ratings: it turns their differences into probabilities. Leagues differ in the spread of
their ratings, hardly in what a difference means. So a head of another league forecasts the first round of a new one,
and the league's own matches move it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.matches import decided_on_pitch, outcomes
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.rating_history import compute_ratings
from features.splits import after_burn_in

if TYPE_CHECKING:
    from features.blend import RatingBlend  # it loads scikit-learn, which `touchline inspect` does without

FEW_MATCHES = 1000
"""With fewer training matches, a head is shrunk. In whole first tiers of 18 to 20 clubs, the shrunk head is better by
.0011 RPS after one season of training, by .0005 after two, and not at all after three."""


@dataclass(frozen=True)
class Prior:
    """A fitted head, and what it was fitted on: the competition, the seasons and the last kick-off."""

    head: RatingBlend
    competition: str
    seasons: tuple[str, str]
    trained_through: pd.Timestamp

    def __str__(self) -> str:
        return f"{self.competition} {self.seasons[0]} to {self.seasons[1]}"


class PriorHeads:
    """Heads of one league by time: each knows the seasons that had ended before."""

    def __init__(self, matches: pd.DataFrame, build_model: Callable[[], RatingBlend]) -> None:
        """Rate the league.

        Parameters
        ----------
        matches : complete seasons of one competition, columns of `features.matches.SCHEMA`.
        build_model : creates an unfitted head of the columns `features.matrix.GOAL_FEATURES`.
        """
        rated = compute_ratings(matches)
        x = model_input(rated.home, rated.away, matches["neutral"].to_numpy(bool))
        usable = _usable(matches)
        self._matches = matches[usable].reset_index(drop=True)
        self._x = x[usable][:, [FEATURES.index(name) for name in GOAL_FEATURES]]
        self._ends = self._matches.groupby("season")["kick_off"].transform("max")
        self._build_model = build_model
        self._fitted: dict[str, Prior] = {}

    def before(self, moment: pd.Timestamp) -> Prior | None:
        """Return the head of all seasons that ended before a moment; None if there are none."""
        rows = np.flatnonzero(self._ends < moment)
        if not len(rows):
            return None
        table = self._matches.iloc[rows]
        first, last = str(table["season"].min()), str(table["season"].max())
        if last not in self._fitted:
            head = self._build_model().fit(self._x[rows], outcomes(table))
            competition = str(table["competition"].iloc[0])
            self._fitted[last] = Prior(head, competition, (first, last), table["kick_off"].max())
        return self._fitted[last]


def has_ended_season(matches: pd.DataFrame, moment: pd.Timestamp) -> bool:
    """Whether a season of these matches, on which a head can be fitted, ended before a moment."""
    usable = matches[_usable(matches)]
    return bool((usable.groupby("season")["kick_off"].max() < moment).any())


def _usable(matches: pd.DataFrame) -> NDArray[np.bool_]:
    return np.asarray(after_burn_in(matches) & decided_on_pitch(matches))
