"""Fixtures of a season that a source does not list yet: adds them, and tells whether any is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from features.curtailed_seasons import is_over
from features.league_rules import LeagueRules, rules_at
from features.matches import Status, build_match_id, conform
from features.slugs import club_slugs
from features.table_matches import in_table


def add_missing_fixtures(
    season: pd.DataFrame, as_of: datetime | None = None, own: Mapping[str, LeagueRules] | None = None
) -> pd.DataFrame:
    """Add the matches that the competition's format requires and the source has not announced yet.

    A season that ended early gets none, and loses the fixtures that were never played.

    Parameters
    ----------
    season : all known matches of one competition and season; returned unchanged if the format is unknown.
    as_of : None for the time after the last result.
    own : rules by slug that take precedence over the listed ones.

    Returns
    -------
    DataFrame: the matches table, followed by the added fixtures. Their days are unknown, so they get the latest
    kick-off of the season.
    """
    if is_over(season, as_of):
        played = season["status"] == Status.PLAYED
        return season if played.all() else season[played].reset_index(drop=True)
    competition, year = str(season["competition"].iloc[0]), str(season["season"].iloc[0])
    rules = rules_at(season, as_of, own)
    if rules.meetings is None or rules.split is not None:
        return season
    counts = _meetings(season[in_table(season, rules)])
    missing = [(pair, n) for pair, known in counts.items() for n in range(known + 1, rules.meetings + 1)]
    if not missing:
        return season
    slugs = club_slugs(season[["home_team", "away_team"]].to_numpy().ravel())
    added = pd.DataFrame(
        [
            {
                "match_id": build_match_id(competition, year, home, away, n, slugs),
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


def is_complete(
    season: pd.DataFrame, as_of: datetime | None = None, own: Mapping[str, LeagueRules] | None = None
) -> bool:
    """Whether no match of the table is missing.

    Every club meets every other equally often at each ground, or has all matches of a season with a split, or the
    season ended early.
    """
    if is_over(season, as_of):
        return True
    rules = rules_at(season, as_of, own)
    table = season[in_table(season, rules)]
    if rules.split is not None:
        total = pd.concat([table["home_team"], table["away_team"]]).value_counts()
        return rules.split.total is not None and bool((total == rules.split.total).all())
    counts = _meetings(table)
    return len(set(counts.values())) == 1 and 0 not in counts.values()


def _meetings(season: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Count the matches of each pair in a season, by home and away club."""
    clubs = sorted(set(season["home_team"]) | set(season["away_team"]))
    known = season.groupby(["home_team", "away_team"]).size().to_dict()
    return {(home, away): int(known.get((home, away), 0)) for home in clubs for away in clubs if home != away}
