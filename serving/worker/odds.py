"""Odds of upcoming matches from the lake, for models that use odds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import CorruptArtefactError, NotPublishedError
from features.io.store import Fingerprint, Lake
from features.matches import SCHEMA, Status
from features.odds import bookmaker_log_odds
from serving.wire.columns import FixtureBatch
from serving.wire.fixtures import match_key

_UNKNOWN_SINCE = np.datetime64("NaT", "us")
_NO_ODDS = (np.array([np.nan, np.nan]), _UNKNOWN_SINCE)
_OddsByMatch = dict[int, tuple[NDArray[np.float64], np.datetime64]]


class OddsTable:
    """The odds features of each upcoming match, and the time at which they were published."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._partitions: dict[str, tuple[Fingerprint | None, _OddsByMatch]] = {}
        self._by_match: _OddsByMatch | None = None
        self.error: str | None = None
        """Why a partition could not be read; its last good odds stay in use."""

    def refresh(self) -> None:
        """Read the partitions that have changed."""
        errors, changed = [], self._by_match is None
        for part in sorted({*self._lake.partitions("matches"), *self._partitions}):
            fingerprint, (known_fingerprint, _) = (
                self._lake.table_fingerprint("matches", part),
                self._partitions.get(part, (None, None)),
            )
            if fingerprint is not None and fingerprint == known_fingerprint:
                continue
            try:
                self._partitions[part] = (
                    fingerprint,
                    _upcoming_odds(self._lake.read_table("matches", part, schema=SCHEMA)),
                )
                changed = True
            except (NotPublishedError, CorruptArtefactError) as error:
                errors.append(str(error))
        self.error = errors[0] if errors else None
        if changed:
            partitions = self._partitions.values()
            self._by_match = {match: odds for _, by_match in partitions for match, odds in by_match.items()}

    def lookup(self, batch: FixtureBatch) -> tuple[NDArray[np.float64], NDArray[np.datetime64]]:
        """Odds features (n, 2), and since when (n,); NaN and NaT without odds.

        The features are those of `features.odds.bookmaker_log_odds`. Odds published after the requested kick-off are
        ignored.
        """
        if self._by_match is None:
            self.refresh()
        by_match = self._by_match or {}
        entries = [by_match.get(match, _NO_ODDS) for match in batch.match.tolist()]
        features = np.array([features for features, _ in entries]).reshape(-1, 2)
        known_at = np.array([known_at for _, known_at in entries], "datetime64[us]")
        too_late = known_at >= batch.kick_off
        return (
            np.where(too_late[:, None], np.nan, features),
            np.where(too_late, _UNKNOWN_SINCE, known_at).astype("datetime64[us]"),
        )


def _upcoming_odds(matches: pd.DataFrame) -> _OddsByMatch:
    upcoming = matches[(matches["status"] == Status.SCHEDULED) & matches["odds_known_at"].notna()]
    if upcoming.empty:
        return {}
    features = bookmaker_log_odds(upcoming, upcoming["kick_off"].max().to_pydatetime())
    known_at = upcoming["odds_known_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    rows = zip(upcoming["match_id"], features, known_at, strict=True)
    return {match_key(match_id): (odds, since) for match_id, odds, since in rows if np.isfinite(odds).all()}
