"""What the places of a final table mean in each competition, and how clubs level on points are ordered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What awaits a club at a place."""

    TITLE = "title"
    TOP = "top"
    PROMOTION = "promotion"
    PLAY_OFF = "play_off"
    RELEGATION = "relegation"


@dataclass(frozen=True)
class Place:
    """Places `first` to `last` of a table; negative ones are counted from the bottom, -1 being the last."""

    name: str
    kind: Kind
    first: int
    last: int

    def among(self, clubs: int) -> Place:
        """The same with both places counted from the top of a table of so many clubs."""
        first, last = (place if place > 0 else clubs + 1 + place for place in (self.first, self.last))
        return Place(self.name, self.kind, max(first, 1), min(last, clubs))


@dataclass(frozen=True)
class Rules:
    """How a table is ordered and what its places mean.

    European places are those by league position alone: cup winners and places that UEFA adds for a season come on top.
    """

    places: tuple[Place, ...]
    head_to_head: bool = False

    @property
    def relegated(self) -> int:
        """Clubs that go down without a play-off."""
        return sum(one.last - one.first + 1 for one in self.places if one.kind is Kind.RELEGATION)


def _title() -> Place:
    return Place("Title", Kind.TITLE, 1, 1)


def _down(clubs: int, play_off: int = 0) -> tuple[Place, ...]:
    """The last `clubs` go down, the `play_off` above them play for staying up."""
    below = Place("Relegation", Kind.RELEGATION, -clubs, -1)
    return (Place("Relegation play-off", Kind.PLAY_OFF, -clubs - play_off, -clubs - 1), below) if play_off else (below,)


def _first_tier(europe: int, down: tuple[Place, ...], head_to_head: bool = False) -> Rules:
    places = (Place("Champions League", Kind.TOP, 1, 4), Place("Europe", Kind.TOP, 1, europe))
    return Rules((_title(), *places, *down), head_to_head)


def _lower_tier(up: int, play_off: int, down: tuple[Place, ...], head_to_head: bool = False) -> Rules:
    """The first `up` go up, those down to place `play_off` play for it."""
    places = (Place("Promotion", Kind.PROMOTION, 1, up), Place("Promotion play-off", Kind.PLAY_OFF, up + 1, play_off))
    return Rules((_title(), *places, *down), head_to_head)


_RULES = {
    "eng-premier-league": _first_tier(5, _down(3)),
    "eng-championship": _lower_tier(2, 6, _down(3)),
    "eng-league-one": _lower_tier(2, 6, _down(4)),
    "eng-league-two": _lower_tier(3, 7, _down(2)),
    "ger-bundesliga": _first_tier(6, _down(2, play_off=1)),
    "ger-2-bundesliga": _lower_tier(2, 3, _down(2, play_off=1)),
    "esp-la-liga": _first_tier(6, _down(3), head_to_head=True),
    "esp-segunda": _lower_tier(2, 6, _down(4), head_to_head=True),
    "ita-serie-a": _first_tier(6, _down(3), head_to_head=True),
    "ita-serie-b": _lower_tier(2, 8, _down(3, play_off=2), head_to_head=True),
    "fra-ligue-1": _first_tier(6, _down(2, play_off=1)),
    "fra-ligue-2": _lower_tier(2, 5, _down(2, play_off=1)),
}
"""As in 2025/26. A season's own exceptions (a play-off that is left out, say) are not in here."""


def rules_of(competition: str) -> Rules:
    """Rules of a competition; of one that is not listed only the first, the top four and the last three are told."""
    usual = Rules((_title(), Place("Top four", Kind.TOP, 1, 4), Place("Last three", Kind.RELEGATION, -3, -1)))
    return _RULES.get(competition, usual)
