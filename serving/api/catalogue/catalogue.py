"""What the API knows of the lake: matches, clubs, published forecasts. Followed from a thread, swapped as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import structlog

from features.competitions import CATALOGUE, country_of
from features.errors import (
    CorruptArtefactError,
    InvalidInputError,
    NotPublishedError,
    StorageUnavailableError,
    UnknownCompetitionError,
)
from features.io.clock import Clock
from features.io.store import Fingerprint, Lake
from features.matches import build_match_id
from features.rating_history import STATES
from features.teams import suggest
from serving.api.catalogue.forecast_index import Published
from serving.api.catalogue.match_index import Listing, MatchRow
from serving.api.catalogue.tables import (
    FORECAST,
    MATCHES,
    SETTLED,
    Club,
    Meeting,
    clubs_of,
    made,
    match_rows,
    next_meetings,
)
from serving.errors import BadField
from serving.wire.columns import Fixture, iso

log = structlog.get_logger(__name__)
_PAIRS = 20_000
"""Most that are remembered."""
_MOVED = timedelta(days=7)
"""How far a kick-off may lie from the one that is known and still mean that match: fixtures are moved by days."""
_FARTHEST = timedelta(days=366)
"""How long after the last known result a match that nobody has listed yet may be."""


class Pair(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Two clubs as a caller named them, and nothing but what tells them from others: see `schemas.PredictRequest`."""

    home_team: str
    away_team: str
    competition: str | None = None


class Remembered:
    """Fixtures of clubs that were asked for, by what callers called them; all are forgotten when there are too many."""

    def __init__(self) -> None:
        self._known: dict[str | None, dict[str, dict[str, Fixture]]] = {}
        self._count = 0

    def find(self, competition: str | None, home_team: str, away_team: str) -> Fixture | None:
        """None where they were not asked for."""
        return self._known.get(competition, {}).get(home_team, {}).get(away_team)

    def find_all(self, pairs: Sequence[Pair]) -> list[Fixture] | None:
        """None where one of them was not asked for."""
        known = self._known
        try:  # names by names: a key of all three would have to be made for each of a thousand pairs
            return [known[one.competition][one.home_team][one.away_team] for one in pairs]
        except KeyError:
            return None

    def add(self, competition: str | None, home_team: str, away_team: str, fixture: Fixture) -> None:
        """One that `find` did not find."""
        if self._count >= _PAIRS:
            self._known, self._count = {}, 0
        self._known.setdefault(competition, {}).setdefault(home_team, {})[away_team] = fixture
        self._count += 1


@dataclass(frozen=True)
class Snapshot:
    """One consistent view."""

    listing: Listing = field(default_factory=Listing)
    by_id: Mapping[str, MatchRow] = field(default_factory=dict)
    next_meeting: Mapping[tuple[str, str, str], Meeting] = field(default_factory=dict)
    clubs: Mapping[str, Mapping[str, Club]] = field(default_factory=dict)
    competitions: tuple[str, ...] = ()
    fixtures: Remembered = field(default_factory=Remembered)
    """As `Catalogue.fixture` found them; goes with the snapshot."""

    @property
    def matches(self) -> tuple[MatchRow, ...]:
        """By kick-off."""
        return self.listing.rows


class Catalogue:
    """One per API process. A table that vanishes stays in use until the process ends, like one that is damaged."""

    def __init__(
        self, lake: Lake, aliases: Mapping[str, Mapping[str, str]] | None = None, clock: Clock | None = None
    ) -> None:
        """`aliases` by country or competition, as `features.io.sources.club_aliases` has them."""
        self.lake = lake
        self.clock = clock
        self.as_of: datetime | None = None
        """The moment that the platform stands at."""
        self._aliases = {
            where: {alias.casefold(): name.casefold() for alias, name in table.items()}
            for where, table in (aliases or {}).items()
        }
        self.forecasts = Published(lake, "forecasts", FORECAST)
        self.settled = Published(lake, "settled_forecasts", SETTLED)
        self._tables: dict[tuple[str, str], tuple[Fingerprint | None, Any]] = {}
        self._damaged: dict[str, str] = {}
        self._changed = False
        self.snapshot = Snapshot()

    @property
    def damaged(self) -> dict[str, str]:
        """What is missing or unreadable, and why: of these the last good ones are in use."""
        weekly = {
            f"{noun}/{week}": why
            for noun, part in (("forecasts", self.forecasts), ("settled_forecasts", self.settled))
            for week, why in part.damaged.items()
        }
        return {**self._damaged, **weekly}

    def refresh(self) -> None:
        """Read what was published anew. What cannot be read stays as it was and is named in `damaged`."""
        self._look_at_the_clock()
        self.forecasts.refresh()
        self.settled.refresh()
        try:
            for noun, make, schema in (("matches", match_rows, MATCHES), ("team_states", clubs_of, STATES)):
                known = {part for there, part in self._tables if there == noun}
                for part in sorted({*self.lake.partitions(noun), *known}):
                    self._read(noun, part, make, schema)
        finally:  # what was read counts as read, whatever happened to the rest
            if self._changed:
                self.snapshot, self._changed = self._combine(), False

    def _look_at_the_clock(self) -> None:
        try:
            self.as_of = self.clock.as_of() if self.clock else None
            self._damaged.pop("as_of", None)
        except (InvalidInputError, OSError) as error:
            self._damaged["as_of"] = str(error)

    def _read(self, noun: str, part: str, make: Callable[[pd.DataFrame], Any], schema: pa.Schema) -> None:
        try:
            stamp, known = self.lake.table_fingerprint(noun, part), self._tables.get((noun, part))
            if stamp is None or known is None or known[0] != stamp:
                table = self.lake.read_table(noun, part, schema=schema)
                self._tables[noun, part] = stamp, made(make, table, schema)
                self._changed = True
            self._damaged.pop(f"{noun}/{part}", None)
        except (NotPublishedError, CorruptArtefactError, StorageUnavailableError) as error:
            if self._damaged.get(f"{noun}/{part}") != str(error):
                log.warning("catalogue.unreadable", noun=noun, partition=part, error=str(error))
            self._damaged[f"{noun}/{part}"] = str(error)

    def _combine(self) -> Snapshot:
        listing = Listing(row for (noun, _), (_, rows) in self._tables.items() if noun == "matches" for row in rows)
        clubs: dict[str, dict[str, Club]] = {}
        for (noun, _), (_, rows) in self._tables.items():
            if noun == "team_states":
                for club in rows:
                    clubs.setdefault(club.competition, {})[club.name.casefold()] = club
        names = sorted({*listing.seasons, *clubs})
        by_id = {row.match_id: row for row in listing.rows}
        return Snapshot(listing, by_id, next_meetings(listing.rows, clubs), clubs, tuple(names))

    # -- clubs and fixtures -----------------------------------------------------------------------------------------

    def fixture(
        self, home_team: str, away_team: str, competition: str | None = None, kick_off: datetime | None = None
    ) -> Fixture:
        """What the worker needs for two clubs as a caller named them; raises BadField with the nearest known value."""
        known = self.snapshot.fixtures
        found = known.find(competition, home_team, away_team)
        if found is None:
            found = self._find(home_team, away_team, competition)
            known.add(competition, home_team, away_team, found)
        if kick_off is None:
            return found
        self._check_kick_off(found, kick_off)
        return replace(found, kick_off=iso(kick_off))

    def _check_kick_off(self, fixture: Fixture, kick_off: datetime) -> None:
        """Raises BadField where the kick-off cannot be that of the match which the clubs' names stand for."""
        if fixture.kick_off is not None:
            due = datetime.fromisoformat(fixture.kick_off)
            if abs(kick_off - due) > _MOVED:
                raise BadField(
                    f"{fixture.home_team} and {fixture.away_team} meet at {iso(due)} "
                    f"({fixture.match_id}), not at {iso(kick_off)}; leave kick_off out for that match",
                    "kick_off",
                    [iso(due)],
                )
            return
        there = self.snapshot.clubs[fixture.competition]
        clubs = [there[name.casefold()] for name in (fixture.home_team, fixture.away_team)]
        known = max((club.features_as_of for club in clubs if club.features_as_of is not None), default=None)
        if known is not None and kick_off - known > _FARTHEST:
            raise BadField(
                f"kick_off {iso(kick_off)} is more than a year after the last result that is known "
                f"({iso(known)}): too far ahead to be forecast",
                "kick_off",
            )

    def _find(self, home_team: str, away_team: str, competition: str | None) -> Fixture:
        clubs = self.snapshot.clubs
        if not clubs:
            raise NotPublishedError("no club can be forecast yet: the pipeline has not published any state")
        if competition is None:
            competition = self._competition_of(home_team, away_team)
        elif competition not in clubs:
            close = suggest(competition, list(clubs))
            raise BadField(f"competition {competition!r} has no clubs", "competition", close or sorted(clubs)[:3])
        home = self._club(competition, home_team, "home_team")
        away = self._club(competition, away_team, "away_team")
        if home.name == away.name:
            raise BadField(f"a club does not play itself: {home.name}", "away_team")
        meeting = self.snapshot.next_meeting.get((competition, home.name, away.name))
        if meeting is not None:
            return _fixture(meeting.match_id, meeting.season, meeting.kick_off, home, away, meeting.neutral)
        season = max(home.season, away.season)
        match_id = self._free_id(competition, season, home.name, away.name)
        return _fixture(match_id, season, None, home, away, False, listed=False)

    def _free_id(self, competition: str, season: str, home: str, away: str) -> str:
        """The id of the next meeting at this ground: never that of a match that was played."""
        ids = (build_match_id(competition, season, home, away, meeting) for meeting in count(1))
        return next(match_id for match_id in ids if match_id not in self.snapshot.by_id)

    def _competition_of(self, home_team: str, away_team: str) -> str:
        clubs = self.snapshot.clubs
        home, away = ({slug for slug in clubs if self._called(slug, name)} for name in (home_team, away_team))
        shared = sorted(home & away)
        if len(shared) == 1:
            return shared[0]
        if len(shared) > 1:
            raise BadField("both clubs are in several competitions: say which", "competition", shared)
        for name, found, where in ((home_team, home, "home_team"), (away_team, away, "away_team")):
            if not found:
                everyone = [club.name for part in clubs.values() for club in part.values()]
                raise BadField(f"club {name!r} is unknown", where, suggest(name, everyone))
        raise BadField(f"{home_team} and {away_team} play in different competitions", "away_team")

    def _club(self, competition: str, name: str, where: str) -> Club:
        found = self._called(competition, name)
        if found is None:
            close = suggest(name, [club.name for club in self.snapshot.clubs[competition].values()])
            raise BadField(f"club {name!r} is unknown in {competition}", where, close)
        return found

    def _called(self, competition: str, name: str) -> Club | None:
        known = self.snapshot.clubs[competition]
        return known.get(name.casefold()) or known.get(self._alias(competition, name))

    def _alias(self, competition: str, name: str) -> str:
        """The canonical name, in lower case, behind another that a club goes by; empty where it is none."""
        own, country = (self._aliases.get(where, {}) for where in (competition, country_of(competition)))
        return own.get(name.casefold()) or country.get(name.casefold(), "")

    # -- matches ----------------------------------------------------------------------------------------------------

    def check_competition(self, slug: str) -> None:
        """Raises UnknownCompetitionError naming the nearest ones."""
        known = self.snapshot.competitions
        if slug not in known:
            close = suggest(slug, list(known)) or list(known)[:3]
            raise UnknownCompetitionError(f"competition {slug[:100]!r} is not in the lake", suggestions=close)

    def club_name(self, name: str) -> str:
        """A club that has matches, as it is called; raises BadField with the nearest ones."""
        listing = self.snapshot.listing
        keys = [name.casefold(), *(self._alias(slug, name) for slug in listing.seasons)]
        found = next((listing.club_names[key] for key in keys if key in listing.club_names), None)
        if found is None:
            raise BadField(f"club {name!r} is in no match", "team", suggest(name, list(listing.club_names.values())))
        return found

    def check_season(self, season: str, competition: str | None) -> None:
        """Raises BadField with the nearest seasons of the competition, or of all."""
        seasons = self.snapshot.listing.seasons
        of = [competition] if competition is not None else list(seasons)
        known = sorted({one for slug in of for one in seasons.get(slug, {})}, reverse=True)
        if season not in known:
            where = f" of {competition}" if competition else ""
            close = suggest(season, known) or known[:3]
            raise BadField(f"no match{where} is of a season {season!r}", "season", close)


def competition_name(slug: str) -> tuple[str, str]:
    """Name and country; a competition of the user's own goes by its slug."""
    found = next((one for one in CATALOGUE if one.slug == slug), None)
    return (found.name, found.country) if found else (slug, slug.split("-", 1)[0])


def _fixture(
    match_id: str, season: str, kick_off: datetime | None, home: Club, away: Club, neutral: bool, listed: bool = True
) -> Fixture:
    moment = None if kick_off is None else iso(kick_off)
    return Fixture(match_id, home.competition, season, moment, home.name, away.name, neutral, listed)
