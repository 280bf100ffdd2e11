"""The rating states of all clubs as one matrix, with a look-up by club."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import UnknownTeamError
from features.rating_history import STATE_COLUMNS
from features.teams import suggest
from serving.wire.columns import FixtureBatch

RowNumbers = NDArray[np.int64]


@dataclass(frozen=True)
class TeamStates:
    """`values` (n, len(STATE_COLUMNS)) and `as_of` (n,) by row; `rows` has the row of each (competition, club)."""

    rows: Mapping[tuple[str, str], int]
    values: NDArray[np.float64]
    as_of: NDArray[np.datetime64]

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> TeamStates:
        """From rows of the lake's table `team_states`."""
        clubs = zip(table["competition"].tolist(), table["team"].tolist(), strict=True)
        return cls(
            {club: row for row, club in enumerate(clubs)},
            table[list(STATE_COLUMNS)].to_numpy(float),
            table["features_as_of"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]"),
        )

    def locate(self, batch: FixtureBatch) -> tuple[RowNumbers, RowNumbers]:
        """Rows of the home and the away club of each match; -1 for a club without a state."""
        rows = np.array([self.rows.get(club, -1) for club in batch.clubs], np.int64)
        return rows[batch.home], rows[batch.away]

    def missing_error(self, batch: FixtureBatch, match: int) -> UnknownTeamError:
        """The error of a match with a club that has no state; it names the most similar clubs that have one."""
        clubs = [batch.clubs[batch.home[match]], batch.clubs[batch.away[match]]]
        competition, name = next(club for club in clubs if club not in self.rows)
        known = [club for slug, club in self.rows if slug == competition]
        suggestions = ", ".join(suggest(name, known))
        return UnknownTeamError(f"club {name!r} has no rating in {competition}; similar names: {suggestions}")
