"""Rules of a league table: what the places mean, how clubs are ranked, and which matches count."""

from __future__ import annotations

from dataclasses import dataclass
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
class Group:
    """Neighbouring clubs of the table that play on among themselves after a split and keep their places together.

    Attributes
    ----------
    clubs : number of clubs; None for all that are left.
    share : share of the points that each club keeps, rounded up: 0.5 where points are halved.
    counts : whether the matches after the split count in the table; if not, the places before it are final.
    """

    clubs: int | None
    share: float = 1.0
    counts: bool = True


@dataclass(frozen=True)
class Split:
    """A season whose clubs play on in groups, once each has played `after` matches.

    Attributes
    ----------
    groups : from the top of the table.
    after : matches of each club before the split.
    total : matches of each club in the whole season; None if it differs between the groups.
    """

    after: int
    groups: tuple[Group, ...]
    total: int | None = None


@dataclass(frozen=True)
class LeagueRules:
    """How a table is ranked, what its places mean, and how many matches a season has.

    European places are those by league position alone; places of cup winners and extra places that UEFA grants for a
    season are not included. Clubs that are still level after all `ties` are ranked by lot: the data has no cards, and
    the result of a play-off is about as random.

    Attributes
    ----------
    places : zones of the final table; they may overlap.
    ties : criteria for clubs level on points, in order.
    meetings : how often each pair meets at each ground; None if the format is different or unknown.
    split : the groups in which the clubs play on; None without a split.
    points_for_win : points of the winner; a draw gives one.
    per_match : whether clubs are ranked by points per match, as after a season that was ended early.
    places_known : False if `places` are an assumption.
    note : sentence about what these rules leave out, for the readers of a table; empty if nothing.
    """

    places: tuple[TableZone, ...]
    ties: tuple[Tiebreaker, ...] = (Tiebreaker.DIFFERENCE, Tiebreaker.GOALS)
    meetings: int | None = None
    split: Split | None = None
    points_for_win: int = 3
    per_match: bool = False
    places_known: bool = True
    note: str = ""

    @property
    def relegated(self) -> int:
        """Number of clubs that are relegated without a play-off."""
        return sum(zone.last - zone.first + 1 for zone in self.places if zone.kind is ZoneKind.RELEGATION)

    @property
    def has_champion(self) -> bool:
        """Whether the season has a champion; one that was declared void has none."""
        return any(zone.kind is ZoneKind.TITLE for zone in self.places)


def title() -> TableZone:
    """Return the zone of the champion."""
    return TableZone("Title", ZoneKind.TITLE, 1, 1)


def relegation(clubs: int, play_off: int = 0) -> tuple[TableZone, ...]:
    """Relegate the last `clubs`; the `play_off` clubs above them enter a relegation play-off."""
    zones = []
    if play_off:
        zones.append(TableZone("Relegation play-off", ZoneKind.PLAY_OFF, -clubs - play_off, -clubs - 1))
    if clubs:
        zones.append(TableZone("Relegation", ZoneKind.RELEGATION, -clubs, -1))
    return tuple(zones)


def promotion(up: int, play_off: int = 0) -> tuple[TableZone, ...]:
    """Promote the first `up` clubs; the next ones, down to place `play_off`, enter a promotion play-off."""
    zones = []
    if up:
        zones.append(TableZone("Promotion", ZoneKind.PROMOTION, 1, up))
    if play_off > up:
        zones.append(TableZone("Promotion play-off", ZoneKind.PLAY_OFF, up + 1, play_off))
    return tuple(zones)
