"""Fixtures of a season that a source does not list yet: adds them, and tells whether any is missing."""

from __future__ import annotations

import pandas as pd

from features.competitions import meetings_of
from features.matches import Status, build_match_id, conform


def add_missing_fixtures(season: pd.DataFrame) -> pd.DataFrame:
    """Add the matches that the competition's format requires and the source has not announced yet.

    Parameters
    ----------
    season : all known matches of one competition and season; returned unchanged if the format is unknown.

    Returns
    -------
    DataFrame: the matches table, followed by the added fixtures. Their days are unknown, so they get the latest
    kick-off of the season.
    """
    competition, year = str(season["competition"].iloc[0]), str(season["season"].iloc[0])
    meetings = meetings_of(competition)
    if meetings is None:
        return season
    counts = _meetings(season)
    missing = [(pair, n) for pair, known in counts.items() for n in range(known + 1, meetings + 1)]
    if not missing:
        return season
    added = pd.DataFrame(
        [
            {
                "match_id": build_match_id(competition, year, home, away, n),
                "competition": competition,
                "season": year,
                "kick_off": season["kick_off"].max(),
                "kick_off_exact": False,
                "home_team": home,
                "away_team": away,
                "neutral": False,
                "status": Status.SCHEDULED.value,
                "awarded": False,
                "source": "format",
            }
            for (home, away), n in missing
        ]
    )
    return pd.concat([season, conform(added)], ignore_index=True)


def is_complete(season: pd.DataFrame) -> bool:
    """Whether every club meets every other equally often at each ground, so that no match is missing."""
    counts = _meetings(season)
    return len(set(counts.values())) == 1 and 0 not in counts.values()


def _meetings(season: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Count the matches of each pair in a season, by home and away club."""
    clubs = sorted(set(season["home_team"]) | set(season["away_team"]))
    known = season.groupby(["home_team", "away_team"]).size().to_dict()
    return {(home, away): int(known.get((home, away), 0)) for home in clubs for away in clubs if home != away}
