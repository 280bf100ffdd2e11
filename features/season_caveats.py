"""What a simulated table does not know or leaves out, in sentences for its readers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from features.curtailed_seasons import is_over
from features.matches import Status
from features.rulings import Ruling, rulings_of
from features.table_matches import guest_clubs, in_table
from features.table_rules import LeagueRules


def caveats(
    season: pd.DataFrame, rules: LeagueRules, complete: bool, as_of: datetime, rulings: Sequence[Ruling] = ()
) -> list[str]:
    """List what readers of a table should know.

    Parameters
    ----------
    season : all matches of one competition and season, with the fixtures that were added.
    rules : rules of this season.
    complete : whether no match of the table is missing.
    as_of : time of the table.
    rulings : points off the pitch that a user has entered.
    """
    sentences = [*_places(rules), *_format(rules, complete), *_left_out(season, rules)]
    if rules.note:
        sentences.append(rules.note)
    elif is_over(season, as_of) and rules.meetings is not None and _unplayed(season, rules):
        sentences.append(f"The season is over, although {_unplayed(season, rules)} matches were not played.")
    return [*sentences, *_points(season, as_of, rulings)]


def _places(rules: LeagueRules) -> list[str]:
    if rules.places_known:
        return []
    return [
        "The promotion, European and relegation places of this competition are not known: the top four and the last "
        "three are assumed."
    ]


def _format(rules: LeagueRules, complete: bool) -> list[str]:
    if rules.split is not None and not complete:
        return [
            f"The clubs play on in groups after {rules.split.after} matches; only the listed matches were simulated."
        ]
    if rules.meetings is None and rules.split is None and not complete:
        return ["How many matches this season has is not known: only the listed ones were simulated."]
    return []


def _left_out(season: pd.DataFrame, rules: LeagueRules) -> list[str]:
    guests = guest_clubs(season, rules.meetings)
    beyond = int((~in_table(season, rules)).sum())
    if not beyond:
        return []
    sentence = f"{beyond} matches beyond the league's format, such as play-offs, do not count"
    return [f"{sentence}; {', '.join(guests)} appear only there." if guests else f"{sentence}."]


def _points(season: pd.DataFrame, as_of: datetime, rulings: Sequence[Ruling]) -> list[str]:
    competition, year = str(season["competition"].iloc[0]), str(season["season"].iloc[0])
    known = rulings_of(competition, year, as_of, rulings)
    clubs = set(season["home_team"]) | set(season["away_team"])
    sums: dict[str, int] = {}
    for ruling in known:
        sums[ruling.club] = sums.get(ruling.club, 0) + ruling.points
    included = ", ".join(f"{club} {points:+d}" for club, points in sorted(sums.items()) if points and club in clubs)
    strangers = sorted({ruling.club for ruling in known} - clubs)
    return [
        *([f"Points off the pitch that are included: {included}."] if included else []),
        *([f"A ruling names {', '.join(strangers)}, which is not a club of this season."] if strangers else []),
        "Points deductions are included only if they are listed or entered in TOUCHLINE_RULINGS.",
    ]


def _unplayed(season: pd.DataFrame, rules: LeagueRules) -> int:
    """Count the matches that the format requires and that were not played."""
    table = season[in_table(season, rules)]
    clubs = len(set(table["home_team"]) | set(table["away_team"]))
    return (rules.meetings or 0) * clubs * (clubs - 1) - int((table["status"] == Status.PLAYED).sum())
