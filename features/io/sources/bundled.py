"""The Premier League 2014/15 to 2025/26, inside the package (see data/PROVENANCE.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pandas as pd

from features.errors import SourceError
from features.matches import Status, conform, with_match_ids

COMPETITION = "eng-premier-league"
REPLAY_AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
"""Default time of a local run: a Friday noon in the last season, with nine rounds to play."""

_COLUMNS = {"date": "str", "kickoff_utc": "str", "season": "str", "home_team": "str", "away_team": "str"}


def load() -> pd.DataFrame:
    """Load all 4,560 matches, all of them played, as a matches table.

    Before 2019/20 the data has no time of day: these matches get 15:00 in London, with `kick_off_exact` False.

    Raises
    ------
    SourceError
        If a season does not have 380 matches, or a club does not have 19 at home and 19 away.
    """
    raw = pd.read_csv(str(files("features.io.sources") / "data" / "premier_league.csv"), dtype=_COLUMNS)
    exact = raw["kickoff_utc"].notna()
    default = pd.to_datetime(raw["date"] + " 15:00").dt.tz_localize("Europe/London").dt.tz_convert("UTC")
    table = pd.DataFrame(
        {
            "competition": COMPETITION,
            "season": raw["season"].str.replace("/", "-", regex=False),
            "matchday": raw["gameweek"],
            "kick_off": pd.to_datetime(raw["kickoff_utc"], utc=True).where(exact, default),
            "kick_off_exact": exact,
            "home_team": raw["home_team"],
            "away_team": raw["away_team"],
            "neutral": False,
            "status": Status.PLAYED.value,
            "awarded": False,
            "home_goals": raw["home_goals"],
            "away_goals": raw["away_goals"],
            "source": "bundled",
        }
    )
    check(table)
    return conform(with_match_ids(table))


def check(table: pd.DataFrame) -> None:
    """Check that every season is complete: 380 matches with scores, 20 clubs with 19 home and 19 away matches."""
    for season, matches in table.groupby("season"):
        if len(matches) != 380:
            raise SourceError(f"bundled data: season {season} has {len(matches)} matches, not 380")
        for side in ("home_team", "away_team"):
            counts = matches[side].value_counts()
            if len(counts) != 20 or (counts != 19).any():
                raise SourceError(
                    f"bundled data: season {season}: {side} counts are {counts[counts != 19].to_dict()}, not 19 each"
                )
    if table[["home_goals", "away_goals"]].isna().any(axis=None):
        raise SourceError("bundled data: a match has no score")
