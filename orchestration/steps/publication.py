"""Publishing a week's forecasts beside other runs: what was published meanwhile, or has kicked off, stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from features.forecasts import PUBLISHED, SCHEMA
from features.io.store import Lake
from features.matches import Status
from orchestration.steps.lake_tables import empty_table
from orchestration.steps.weekly_forecasts import matches_of_week


@dataclass(frozen=True)
class ForecastRun:
    """One run that publishes forecasts of a version, and how it learns what has happened since it began."""

    version: int
    as_of: datetime
    matches: pd.DataFrame
    """The matches that the forecasts were made from."""
    now: Callable[[], datetime]
    """The clock at the moment of writing."""
    is_superseded: Callable[[], bool]
    """Whether another version has gone into production since the run began."""

    def publish(self, lake: Lake, week: str, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Publish a week of `forecasts` and return the week as it is published now."""
        written = forecasts

        def change(published: pd.DataFrame) -> pd.DataFrame:
            nonlocal written
            written = self.merge(week, published, forecasts)
            return written.reindex(columns=PUBLISHED.names)

        lake.update_table("forecasts", week, change, PUBLISHED, read_schema=SCHEMA)
        return written

    def publish_shadow(self, lake: Lake, week: str, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Publish a week of shadow forecasts and return the week; rows of other versions stay as they are published."""
        written = forecasts

        def change(published: pd.DataFrame) -> pd.DataFrame | None:
            nonlocal written
            is_own = published["model_version"] == self.version
            own = self.merge(week, published[is_own].reset_index(drop=True), forecasts)
            written = _concat([published[~is_own], own])
            return None if written[SCHEMA.names].equals(published[SCHEMA.names]) else written

        lake.update_table("shadow_forecasts", week, change, SCHEMA)
        return written

    def merge(self, week: str, published: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Merge a run's forecasts into those that are published when it writes.

        * A published row stays once its match has kicked off, even if that was while the run computed.
        * A forecast that no table had at kick-off is not added after it: it would look as if it had been published.
        * The row of an upcoming match stays if a newer run wrote it, or the run's version is no longer production.
        """
        now = self.now()
        begun = self._has_begun(week, published, now)
        stays = published[begun | self._is_newer(published, ~begun, now)]
        too_late = self._has_begun(week, forecasts, now) & ~self._has_begun(week, forecasts, self.as_of)
        fresh = forecasts[~(too_late | forecasts["match_id"].isin(set(stays["match_id"])))]
        if stays.empty and len(fresh) == len(forecasts):
            return forecasts
        return _concat([stays, fresh]).sort_values(["kick_off", "match_id"], ignore_index=True)

    def _has_begun(self, week: str, rows: pd.DataFrame, at: datetime) -> pd.Series:
        """Whether the match of each row had kicked off, at its announced or at its actual time."""
        due = matches_of_week(self.matches, week)
        begun = due[(due["status"] != Status.POSTPONED) & (due["kick_off"] <= at)]
        return (rows["kick_off"] <= at) | rows["match_id"].isin(set(begun["match_id"]))

    def _is_newer(self, published: pd.DataFrame, is_upcoming: pd.Series, now: datetime) -> pd.Series:
        """Whether a newer run wrote each row. One from the future is none: the clock of a replay was set back."""
        is_newer = (published["published_at"] > self.as_of) & (published["published_at"] <= now)
        by_other = is_upcoming & (published["model_version"] != self.version)
        return is_newer | by_other if by_other.any() and self.is_superseded() else is_newer


def _concat(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else empty_table(SCHEMA)
