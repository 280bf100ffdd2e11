"""Rules of league tables: what the places mean, and how clubs level on points are ranked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum


class ZoneKind(StrEnum):
    """Meaning of a place in the final table."""

    TITLE = "title"
    EUROPE_OR_TOP = "top"
    PROMOTION = "promotion"
    PLAY_OFF = "play_off"
    RELEGATION = "relegation"


class Tiebreaker(StrEnum):
    """Criterion for clubs level on points: over the whole season, or in the matches between them (`direct`)."""

    POINTS = "points"
    DIFFERENCE = "difference"
    GOALS = "goals"
    AWAY_GOALS = "away_goals"
    WINS = "wins"
    DIRECT_POINTS = "direct_points"
    DIRECT_DIFFERENCE = "direct_difference"
    DIRECT_AWAY_GOALS = "direct_away_goals"

    @property
    def direct(self) -> bool:
        """Whether only the matches between the clubs in question count."""
        return self.value.startswith("direct_")

    @property
    def counts(self) -> Tiebreaker:
        """The criterion without the prefix `direct_`."""
        return Tiebreaker(self.value.removeprefix("direct_"))


@dataclass(frozen=True)
class PointsAdjustment:
    """Points awarded or deducted (negative) off the pitch.

    Attributes
    ----------
    decided : date of the decision, midnight UTC.
    """

    club: str
    points: int
    decided: datetime


@dataclass(frozen=True)
class TableZone:
    """Places `first` to `last` of a table; negative places count from the bottom, -1 is the last."""

    name: str
    kind: ZoneKind
    first: int
    last: int

    def from_top(self, clubs: int) -> TableZone:
        """Convert both places to counts from the top, for a table of `clubs` clubs."""
        first, last = (place if place > 0 else clubs + 1 + place for place in (self.first, self.last))
        return TableZone(self.name, self.kind, max(first, 1), min(last, clubs))


@dataclass(frozen=True)
class LeagueRules:
    """How a table is ranked and what its places mean.

    European places are those by league position alone; places of cup winners and extra places that UEFA grants for a
    season are not included. Clubs that are still level after all `ties` are ranked by lot: the data has no cards, and
    the result of a play-off is about as random.

    Attributes
    ----------
    places : zones of the final table; they may overlap.
    ties : criteria for clubs level on points, in order.
    """

    places: tuple[TableZone, ...]
    ties: tuple[Tiebreaker, ...] = (Tiebreaker.DIFFERENCE, Tiebreaker.GOALS)

    @property
    def relegated(self) -> int:
        """Number of clubs that are relegated without a play-off."""
        return sum(zone.last - zone.first + 1 for zone in self.places if zone.kind is ZoneKind.RELEGATION)


def _title() -> TableZone:
    return TableZone("Title", ZoneKind.TITLE, 1, 1)


def _down(clubs: int, play_off: int = 0) -> tuple[TableZone, ...]:
    """Relegate the last `clubs`; the `play_off` clubs above them enter a relegation play-off."""
    relegation = TableZone("Relegation", ZoneKind.RELEGATION, -clubs, -1)
    return (
        (TableZone("Relegation play-off", ZoneKind.PLAY_OFF, -clubs - play_off, -clubs - 1), relegation)
        if play_off
        else (relegation,)
    )


def _first_tier(europe: int, down: tuple[TableZone, ...], ties: tuple[Tiebreaker, ...]) -> LeagueRules:
    places = (
        TableZone("Champions League", ZoneKind.EUROPE_OR_TOP, 1, 4),
        TableZone("Europe", ZoneKind.EUROPE_OR_TOP, 1, europe),
    )
    return LeagueRules((_title(), *places, *down), ties)


def _lower_tier(up: int, play_off: int, down: tuple[TableZone, ...], ties: tuple[Tiebreaker, ...]) -> LeagueRules:
    """Promote the first `up` clubs; the next ones, down to place `play_off`, enter a promotion play-off."""
    places = (
        TableZone("Promotion", ZoneKind.PROMOTION, 1, up),
        TableZone("Promotion play-off", ZoneKind.PLAY_OFF, up + 1, play_off),
    )
    return LeagueRules((_title(), *places, *down), ties)


_SEASON = (Tiebreaker.DIFFERENCE, Tiebreaker.GOALS)
_DIRECT = (Tiebreaker.DIRECT_POINTS, Tiebreaker.DIRECT_DIFFERENCE)
_ENGLAND = (*_SEASON, Tiebreaker.DIRECT_POINTS, Tiebreaker.DIRECT_AWAY_GOALS)
_GERMANY = (*_SEASON, Tiebreaker.DIRECT_DIFFERENCE, Tiebreaker.DIRECT_AWAY_GOALS, Tiebreaker.AWAY_GOALS)
_SPAIN = _ITALY = (*_DIRECT, *_SEASON)
_FRANCE = (Tiebreaker.DIFFERENCE, *_DIRECT, Tiebreaker.GOALS, Tiebreaker.WINS)

_RULES = {
    "eng-premier-league": _first_tier(5, _down(3), _ENGLAND),
    "eng-championship": _lower_tier(2, 6, _down(3), _ENGLAND),
    "eng-league-one": _lower_tier(2, 6, _down(4), _ENGLAND),
    "eng-league-two": _lower_tier(3, 7, _down(2), _ENGLAND),
    "eng-national-league": _lower_tier(1, 7, _down(4), _ENGLAND),
    "ger-bundesliga": _first_tier(6, _down(2, play_off=1), _GERMANY),
    "ger-2-bundesliga": _lower_tier(2, 3, _down(2, play_off=1), _GERMANY),
    "esp-la-liga": _first_tier(6, _down(3), _SPAIN),
    "esp-segunda": _lower_tier(2, 6, _down(4), _SPAIN),
    "ita-serie-a": _first_tier(6, _down(3), _ITALY),
    "ita-serie-b": _lower_tier(2, 8, _down(3, play_off=2), _ITALY),
    "fra-ligue-1": _first_tier(6, _down(2, play_off=1), _FRANCE),
    "fra-ligue-2": _lower_tier(2, 5, _down(2, play_off=1), _FRANCE),
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


def _adjustment(club: str, points: int, year: int, month: int, day: int) -> PointsAdjustment:
    return PointsAdjustment(club, points, datetime(year, month, day, tzinfo=UTC))


_POINTS_ADJUSTMENTS: Mapping[tuple[str, str], tuple[PointsAdjustment, ...]] = {
    ("eng-premier-league", "2009-10"): (_adjustment("Portsmouth", -9, 2010, 3, 17),),
    ("eng-premier-league", "2023-24"): (
        _adjustment("Everton", -10, 2023, 11, 17),
        _adjustment("Everton", 4, 2024, 2, 26),
        _adjustment("Nottingham Forest", -4, 2024, 3, 18),
        _adjustment("Everton", -2, 2024, 4, 8),
    ),
    ("ita-serie-a", "2018-19"): (_adjustment("Chievo Verona", -3, 2018, 9, 13),),
    ("ita-serie-a", "2020-21"): (  # Verona and Roma drew, and the match was awarded to Verona
        _adjustment("Hellas Verona", 2, 2020, 9, 22),
        _adjustment("AS Roma", -1, 2020, 9, 22),
    ),
    ("ita-serie-a", "2022-23"): (
        _adjustment("Juventus", -15, 2023, 1, 20),
        _adjustment("Juventus", 15, 2023, 4, 20),
        _adjustment("Juventus", -10, 2023, 5, 22),
    ),
    ("fra-ligue-1", "2021-22"): (
        _adjustment("OGC Nice", -1, 2021, 9, 8),
        _adjustment("Olympique Lyonnais", -1, 2021, 12, 8),
    ),
    ("fra-ligue-1", "2023-24"): (_adjustment("Montpellier HSC", -1, 2023, 11, 8),),
}
"""Adjustments in the seasons that the back-test evaluates, and the only earlier one of the Premier League."""


def has_rules(competition: str) -> bool:
    """Whether the rules of a competition are listed."""
    return competition in _RULES


def rules_of(competition: str, season: str | None = None) -> LeagueRules:
    """Return the rules of a competition.

    A competition without listed rules gets the zones title, top four and last three.

    Parameters
    ----------
    competition : slug.
    season : such as "2025-26"; None for the current rules.
    """
    default = LeagueRules(
        (
            _title(),
            TableZone("Top four", ZoneKind.EUROPE_OR_TOP, 1, 4),
            TableZone("Last three", ZoneKind.RELEGATION, -3, -1),
        )
    )
    rules = _RULES.get(competition, default)
    first_season, old_ties = _OLD_TIES.get(competition, ("", ()))
    return replace(rules, ties=old_ties) if season is not None and season < first_season else rules


def points_adjustments(competition: str, season: str, as_of: datetime) -> tuple[PointsAdjustment, ...]:
    """List the points adjustments of a season that had been decided by `as_of`."""
    adjustments = _POINTS_ADJUSTMENTS.get((competition, season), ())
    return tuple(adjustment for adjustment in adjustments if adjustment.decided <= as_of)
