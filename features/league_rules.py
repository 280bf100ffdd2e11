"""The rules of each competition's table by season."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pandas as pd

from features.competitions import country_of, meetings_of
from features.curtailed_seasons import CurtailedSeason, curtailed_season, is_over
from features.table_rules import (
    Group,
    LeagueRules,
    Split,
    TableZone,
    Tiebreaker,
    ZoneKind,
    promotion,
    relegation,
    title,
)

__all__ = ["LeagueRules", "TableZone", "Tiebreaker", "ZoneKind", "has_rules", "rules_at", "rules_of"]


def _first_tier(europe: int, down: tuple[TableZone, ...], ties: tuple[Tiebreaker, ...]) -> LeagueRules:
    places = (
        TableZone("Champions League", ZoneKind.EUROPE_OR_TOP, 1, 4),
        TableZone("Europe", ZoneKind.EUROPE_OR_TOP, 1, europe),
    )
    return LeagueRules((title(), *places, *down), ties)


def _lower_tier(up: int, play_off: int, down: tuple[TableZone, ...], ties: tuple[Tiebreaker, ...]) -> LeagueRules:
    """Promote the first `up` clubs; the next ones, down to place `play_off`, enter a promotion play-off."""
    return LeagueRules((title(), *promotion(up, play_off), *down), ties)


_SEASON = (Tiebreaker.DIFFERENCE, Tiebreaker.GOALS)
_DIRECT = (Tiebreaker.DIRECT_POINTS, Tiebreaker.DIRECT_DIFFERENCE)
_ENGLAND = (*_SEASON, Tiebreaker.DIRECT_POINTS, Tiebreaker.DIRECT_AWAY_GOALS)
_GERMANY = (*_SEASON, Tiebreaker.DIRECT_DIFFERENCE, Tiebreaker.DIRECT_AWAY_GOALS, Tiebreaker.AWAY_GOALS)
_SPAIN = _ITALY = (*_DIRECT, *_SEASON)
_FRANCE = (Tiebreaker.DIFFERENCE, *_DIRECT, Tiebreaker.GOALS, Tiebreaker.WINS)
_BRAZIL = (Tiebreaker.WINS, *_SEASON, Tiebreaker.DIRECT_POINTS)

_RULES = {
    "eng-premier-league": _first_tier(5, relegation(3), _ENGLAND),
    "eng-championship": _lower_tier(2, 6, relegation(3), _ENGLAND),
    "eng-league-one": _lower_tier(2, 6, relegation(4), _ENGLAND),
    "eng-league-two": _lower_tier(3, 7, relegation(2), _ENGLAND),
    "eng-national-league": _lower_tier(1, 7, relegation(4), _ENGLAND),
    "ger-bundesliga": _first_tier(6, relegation(2, play_off=1), _GERMANY),
    "ger-2-bundesliga": _lower_tier(2, 3, relegation(2, play_off=1), _GERMANY),
    "esp-la-liga": _first_tier(6, relegation(3), _SPAIN),
    "esp-segunda": _lower_tier(2, 6, relegation(4), _SPAIN),
    "ita-serie-a": _first_tier(6, relegation(3), _ITALY),
    "ita-serie-b": _lower_tier(2, 8, relegation(3, play_off=2), _ITALY),
    "fra-ligue-1": _first_tier(6, relegation(2, play_off=1), _FRANCE),
    "fra-ligue-2": _lower_tier(2, 5, relegation(2, play_off=1), _FRANCE),
    "ned-eredivisie": LeagueRules((title(), *relegation(2, play_off=1)), _SEASON),
    "por-primeira-liga": LeagueRules(
        (title(), *relegation(2, play_off=1)), (*_DIRECT, Tiebreaker.DIFFERENCE, Tiebreaker.WINS, Tiebreaker.GOALS)
    ),
    "sco-premiership": LeagueRules((title(), *relegation(1, play_off=1)), _SEASON),
    "sco-championship": _lower_tier(1, 4, relegation(1, play_off=1), _SEASON),
    "sco-league-one": _lower_tier(1, 4, relegation(1, play_off=1), _SEASON),
    "sco-league-two": _lower_tier(1, 4, relegation(0, play_off=1), _SEASON),
    "bra-serie-a": LeagueRules((title(), *relegation(4)), _BRAZIL),
    "jpn-j1-league": LeagueRules((title(), *relegation(3)), _SEASON),
    "nor-eliteserien": LeagueRules((title(), *relegation(2, play_off=1)), _SEASON),
    "swe-allsvenskan": LeagueRules((title(), *relegation(2, play_off=1)), _SEASON),
}
"""Rules as of 2025/26. Exceptions for a single season, such as a cancelled play-off, are not included."""

_FRANCE_BEFORE = (
    Tiebreaker.DIFFERENCE,
    *_DIRECT,
    Tiebreaker.DIRECT_AWAY_GOALS,
    Tiebreaker.GOALS,
    Tiebreaker.AWAY_GOALS,
)
_OLD_TIES = {"fra-ligue-1": ("2025-26", _FRANCE_BEFORE), "fra-ligue-2": ("2025-26", _FRANCE_BEFORE)}
"""Tiebreakers before a rule change: the first season of the new rules, and the old order."""

_OTHER_RELEGATION: Mapping[str, tuple[tuple[str, str, tuple[TableZone, ...]], ...]] = {
    "fra-ligue-1": (("2022-23", "2022-23", relegation(4)), ("1997-98", "2015-16", relegation(3))),
    "fra-ligue-2": (("2022-23", "2022-23", relegation(4)),),
    "ger-bundesliga": (("1992-93", "2007-08", relegation(3)),),
    "jpn-j1-league": (
        ("2018", "2019", relegation(2, play_off=1)),
        ("2020", "2020", ()),
        ("2021", "2021", relegation(4)),
        ("2022", "2022", relegation(2, play_off=1)),
        ("2023", "2023", relegation(1)),
    ),
    "ned-eredivisie": (("2005-06", "2018-19", relegation(1, play_off=2)),),
    "por-primeira-liga": (
        ("2014-15", "2017-18", relegation(2)),
        ("2018-19", "2018-19", relegation(3)),
        ("2019-20", "2019-20", relegation(2)),
    ),
    "sco-premiership": (("1998-99", "2012-13", relegation(1)),),
}
"""Relegation in earlier seasons: the first and the last of them, and their zones."""

_OPEN = "9999"
"""Last season of rules that still hold."""
_HALVES = 0.5
_TOP_SIX = (Group(6), Group(None))
_SPLITS: Mapping[str, tuple[tuple[str, str, Split], ...]] = {
    "sco-premiership": (("2000-01", _OPEN, Split(33, _TOP_SIX, 38)),),
    "gre-super-league": (("2019-20", "2023-24", Split(26, _TOP_SIX)),),
    "bel-pro-league": (
        ("2010-11", "2018-19", Split(30, (Group(6, _HALVES), Group(None, counts=False)))),
        ("2020-21", "2022-23", Split(34, (Group(4, _HALVES), Group(4, _HALVES), Group(None, counts=False)))),
        ("2023-24", "2025-26", Split(30, (Group(6, _HALVES), Group(6, _HALVES), Group(None)))),
    ),
}
"""Splits: the first and the last season of each, and its form."""

_OTHER_MEETINGS: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    "sco-premiership": (("1994-95", "1999-00", 2),),
    "gre-super-league": (("", "2018-19", 1),),  # the play-off for European places came after it
    "jpn-j1-league": (("2012", "2025", 1),),
    "nor-eliteserien": (("2012", _OPEN, 1),),
    "swe-allsvenskan": (("2012", _OPEN, 1),),
}
"""Meetings of each pair at each ground in seasons of another format: the first and the last season."""

_NOTES = {
    "gre-super-league": "The play-off of places 2 to 5, up to 2018/19, is not part of the table.",
    "bel-pro-league": "Clubs outside the title and Europe groups keep the order before the split.",
}

_THREE_POINTS_SINCE = {"eng": 1981, "fra": 1994, "ita": 1994, "sco": 1994} | dict.fromkeys(
    ("bel", "esp", "ger", "ned", "por"), 1995
)
"""Year of the first season in which a win gave three points, not two."""

_TOP_AND_BOTTOM = (
    title(),
    TableZone("Top four (assumed)", ZoneKind.EUROPE_OR_TOP, 1, 4),
    TableZone("Last three (assumed)", ZoneKind.RELEGATION, -3, -1),
)


def has_rules(competition: str) -> bool:
    """Whether the places of a competition's table are listed."""
    return competition in _RULES


def rules_of(competition: str, season: str | None = None, own: Mapping[str, LeagueRules] | None = None) -> LeagueRules:
    """Return the rules of a competition.

    A competition without listed rules gets the zones title, top four and last three; their names say that they are
    assumed.

    Parameters
    ----------
    competition : slug.
    season : such as "2025-26"; None for the current rules.
    own : rules by slug that take precedence, as a user has entered them.
    """
    if own is not None and competition in own:
        return own[competition]
    known = competition in _RULES
    rules = _RULES.get(competition, LeagueRules(_TOP_AND_BOTTOM))
    rules = replace(rules, meetings=meetings_of(competition), places_known=known, note=_NOTES.get(competition, ""))
    return _of_season(rules, competition, season or _OPEN)


def _of_season(rules: LeagueRules, competition: str, season: str) -> LeagueRules:
    """Apply the rules that were different in one season."""
    first_season, old_ties = _OLD_TIES.get(competition, ("", ()))
    if season < first_season:
        rules = replace(rules, ties=old_ties)
    for first, last, zones in _OTHER_RELEGATION.get(competition, ()):
        if first <= season <= last:
            rules = replace(rules, places=(*(zone for zone in rules.places if zone.first > 0), *zones))
    meetings = [n for first, last, n in _OTHER_MEETINGS.get(competition, ()) if first <= season <= last]
    win = 2 if int(season[:4]) < _THREE_POINTS_SINCE.get(country_of(competition), 0) else 3
    return replace(
        rules,
        meetings=meetings[0] if meetings else rules.meetings,
        split=_split(competition, season),
        points_for_win=win,
    )


def rules_at(
    season: pd.DataFrame, as_of: datetime | None = None, own: Mapping[str, LeagueRules] | None = None
) -> LeagueRules:
    """Return the rules of a season as known at `as_of`: those of an early end, if the season was ended by then.

    Parameters
    ----------
    season : all known matches of one competition and season.
    as_of : None for the time after the last result.
    own : as in `rules_of`.
    """
    competition, year = str(season["competition"].iloc[0]), str(season["season"].iloc[0])
    rules = rules_of(competition, year, own)
    return _ended_early(rules, competition, year) if is_over(season, as_of) else rules


def _ended_early(rules: LeagueRules, competition: str, season: str) -> LeagueRules:
    """Return the rules by which the table of a season that its league ended early was ranked."""
    known = curtailed_season(competition, season)
    if known is None:
        return rules
    kept = [zone for zone in rules.places if zone.kind in (ZoneKind.EUROPE_OR_TOP, ZoneKind.PROMOTION)]
    return replace(
        rules,
        places=(title(), *kept, *relegation(known.relegated)) if known.champion else (),
        split=None,
        per_match=known.per_match,
        note=_early_end(known),
    )


def _early_end(known: CurtailedSeason) -> str:
    """Say when a season was ended and what that means for its table."""
    ranking = "The table is ranked by points per match." if known.per_match else "The table is as it stood then."
    without = "" if known.champion else " No champion was declared and no club was promoted or relegated."
    day = f"{known.last_match.day} {known.last_match:%B %Y}"
    return f"The league ended this season early, after {day}. {ranking}{without}"


def _split(competition: str, season: str) -> Split | None:
    for first, last, split in _SPLITS.get(competition, ()):
        if first <= season <= last:
            return split
    return None
