"""The states of all clubs as one matrix, which a slate's clubs are looked up in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import UnknownTeamError
from features.rating_history import STATE_COLUMNS
from features.teams import suggest
from serving.wire.columns import Slate

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class States:
    """`values` (n, len(STATE_COLUMNS)) and `as_of` (n,) by rows, found by (competition, club)."""

    rows: Mapping[tuple[str, str], int]
    values: NDArray[np.float64]
    as_of: NDArray[np.datetime64]

    @classmethod
    def read(cls, table: pd.DataFrame) -> States:
        """From a table of `team_states`."""
        keys = zip(table["competition"].tolist(), table["team"].tolist(), strict=True)
        return cls(
            {key: row for row, key in enumerate(keys)},
            table[list(STATE_COLUMNS)].to_numpy(float),
            table["features_as_of"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]"),
        )

    def find(self, slate: Slate) -> tuple[Rows, Rows]:
        """Rows of each match's home and away club, -1 where one has no state."""
        clubs = np.array([self.rows.get(club, -1) for club in slate.clubs], np.int64)
        return clubs[slate.home], clubs[slate.away]

    def missing(self, slate: Slate, match: int) -> UnknownTeamError:
        """Which club of a match has no state, and those that it may be taken for."""
        clubs = [slate.clubs[slate.home[match]], slate.clubs[slate.away[match]]]
        where, name = next((where, name) for where, name in clubs if (where, name) not in self.rows)
        known = [team for competition, team in self.rows if competition == where]
        return UnknownTeamError(
            f"club {name!r} has no state in {where}; nearest known: {', '.join(suggest(name, known))}"
        )
