"""Odds of matches to come, as the lake has them: for a model that looks at them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import CorruptArtefactError, NotPublishedError
from features.io.store import Fingerprint, Lake
from features.matches import SCHEMA, Status
from features.odds import market
from serving.wire.columns import Slate, key

_NEVER = np.datetime64("NaT", "us")
_NONE = (np.array([np.nan, np.nan]), _NEVER)


class Market:
    """What odds say of each match that is to come, and since when they are known."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._tables: dict[str, tuple[Fingerprint | None, dict[int, tuple[NDArray[np.float64], np.datetime64]]]] = {}
        self._said: dict[int, tuple[NDArray[np.float64], np.datetime64]] | None = None
        self.error: str | None = None

    def refresh(self) -> None:
        """Read what was published anew; of what is missing or unreadable the last good odds stay."""
        problems, changed = [], self._said is None
        for part in sorted({*self._lake.partitions("matches"), *self._tables}):
            stamp, (known, _) = self._lake.table_fingerprint("matches", part), self._tables.get(part, (None, None))
            if stamp is not None and stamp == known:
                continue
            try:
                self._tables[part] = stamp, _said(self._lake.read_table("matches", part, schema=SCHEMA))
                changed = True
            except (NotPublishedError, CorruptArtefactError) as error:
                problems.append(str(error))
        self.error = problems[0] if problems else None
        if changed:
            self._said = {match: said for _, table in self._tables.values() for match, said in table.items()}

    def of(self, slate: Slate) -> tuple[NDArray[np.float64], NDArray[np.datetime64]]:
        """What the odds say (n, 2), as `features.odds.market`, and since when (n,): NaN and NaT where there are none.

        Odds that became known after the kick-off that a caller has in mind are none.
        """
        if self._said is None:
            self.refresh()
        said = self._said or {}
        found = [said.get(match, _NONE) for match in slate.match.tolist()]
        told, known_at = (
            np.array([one for one, _ in found]).reshape(-1, 2),
            np.array([since for _, since in found], "datetime64[us]"),
        )
        late = known_at.astype("datetime64[us]") >= slate.kick_off
        return np.where(late[:, None], np.nan, told), np.where(late, _NEVER, known_at).astype("datetime64[us]")


def _said(matches: pd.DataFrame) -> dict[int, tuple[NDArray[np.float64], np.datetime64]]:
    ahead = matches[(matches["status"] == Status.SCHEDULED) & matches["odds_known_at"].notna()]
    if ahead.empty:
        return {}
    told = market(ahead, ahead["kick_off"].max().to_pydatetime())
    since = ahead["odds_known_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    said = zip(ahead["match_id"], told, since, strict=True)
    return {key(match_id): (one, known_at) for match_id, one, known_at in said if np.isfinite(one).all()}
