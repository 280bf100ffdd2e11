"""The API's view of the lake. A thread refreshes it.

Requests read a snapshot that is swapped as a whole. It is immutable except for its cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pandas as pd
import pyarrow as pa
import structlog

from features.competitions import COMPETITIONS, country_of
from features.errors import (
    CorruptArtefactError,
    InvalidInputError,
    NotPublishedError,
    StorageUnavailableError,
    UnknownCompetitionError,
)
from features.forecast_schemas import FORECASTS
from features.io.clock import Clock
from features.io.store import Fingerprint, Lake
from features.matches import build_match_id
from features.rating_history import STATES
from features.teams import suggest
from serving.api.catalogue.match_index import MatchIndex, MatchRow
from serving.api.catalogue.resolved_fixture_cache import ResolvedFixtureCache
from serving.api.catalogue.row_builders import (
    MATCHES,
    SETTLED,
    Club,
    NextFixture,
    build_rows,
    club_rows,
    match_rows,
    next_fixtures,
)
from serving.api.catalogue.weekly_table_index import WeeklyTableIndex
from serving.errors import InvalidFieldError
from serving.wire.fixtures import Fixture, to_iso_utc

log = structlog.get_logger(__name__)
RESCHEDULE_TOLERANCE = timedelta(days=7)
"""How far a requested kick-off may be from the known one for the same match, since fixtures are moved by days."""
MAX_FIXTURE_HORIZON = timedelta(days=366)
"""How long after the last known result a match that the lake does not have may be."""


@dataclass(frozen=True)
class Snapshot:
    """One consistent view of the lake."""

    match_index: MatchIndex = field(default_factory=MatchIndex)
    by_id: Mapping[str, MatchRow] = field(default_factory=dict)
    next_fixtures: Mapping[tuple[str, str, str], NextFixture] = field(default_factory=dict)
    clubs: Mapping[str, Mapping[str, Club]] = field(default_factory=dict)
    """Clubs that can be forecast, by competition and case-folded name."""
    competitions: tuple[str, ...] = ()
    fixture_cache: ResolvedFixtureCache = field(default_factory=ResolvedFixtureCache)
    """Results of `Catalogue.resolve_fixture`; dropped with the snapshot."""

    @property
    def matches(self) -> tuple[MatchRow, ...]:
        """All matches by kick-off."""
        return self.match_index.rows


class Catalogue:
    """The API's view of the lake; one per process.

    If a table disappears or becomes unreadable, the last good version stays in use until restart.
    """

    def __init__(
        self, lake: Lake, aliases: Mapping[str, Mapping[str, str]] | None = None, clock: Clock | None = None
    ) -> None:
        """`aliases` by country or competition, as `features.io.sources.club_aliases` has them."""
        self.lake = lake
        self.clock = clock
        self.as_of: datetime | None = None
        """The time that the platform treats as now."""
        self._aliases = {
            scope: {alias.casefold(): name.casefold() for alias, name in table.items()}
            for scope, table in (aliases or {}).items()
        }
        self.forecasts = WeeklyTableIndex(lake, "forecasts", FORECASTS)
        self.settled = WeeklyTableIndex(lake, "settled_forecasts", SETTLED)
        self._tables: dict[tuple[str, str], tuple[Fingerprint | None, Any]] = {}
        self._unreadable: dict[str, str] = {}
        self._has_changed = False
        self.snapshot = Snapshot()

    @property
    def unreadable_tables(self) -> dict[str, str]:
        """Tables that are missing or unreadable, and why. Their last good versions are in use."""
        weekly = {
            f"{name}/{week}": reason
            for name, index in (("forecasts", self.forecasts), ("settled_forecasts", self.settled))
            for week, reason in index.unreadable_weeks.items()
        }
        return {**self._unreadable, **weekly}

    def refresh(self) -> None:
        """Read new and changed tables. `unreadable_tables` names those that failed; their last version is kept."""
        self._refresh_clock()
        self.forecasts.refresh()
        self.settled.refresh()
        try:
            for name, make, schema in (("matches", match_rows, MATCHES), ("team_states", club_rows, STATES)):
                cached = {partition for table, partition in self._tables if table == name}
                for partition in sorted({*self.lake.partitions(name), *cached}):
                    self._read(name, partition, make, schema)
        finally:  # use the tables that were read even if reading another one failed
            if self._has_changed:
                self.snapshot, self._has_changed = self._build_snapshot(), False

    def _refresh_clock(self) -> None:
        try:
            self.as_of = self.clock.as_of() if self.clock else None
            self._unreadable.pop("as_of", None)
        except (InvalidInputError, OSError) as error:
            self._unreadable["as_of"] = str(error)

    def _read(self, name: str, partition: str, make: Callable[[pd.DataFrame], Any], schema: pa.Schema) -> None:
        try:
            fingerprint, cached = self.lake.table_fingerprint(name, partition), self._tables.get((name, partition))
            if fingerprint is None or cached is None or cached[0] != fingerprint:
                table = self.lake.read_table(name, partition, schema=schema)
                self._tables[name, partition] = fingerprint, build_rows(make, table, schema)
                self._has_changed = True
            self._unreadable.pop(f"{name}/{partition}", None)
        except (NotPublishedError, CorruptArtefactError, StorageUnavailableError) as error:
            if self._unreadable.get(f"{name}/{partition}") != str(error):
                log.warning("table.read_failed", table=name, partition=partition, error=str(error))
            self._unreadable[f"{name}/{partition}"] = str(error)

    def _build_snapshot(self) -> Snapshot:
        matches = MatchIndex(row for (name, _), (_, rows) in self._tables.items() if name == "matches" for row in rows)
        clubs: dict[str, dict[str, Club]] = {}
        for (name, _), (_, rows) in self._tables.items():
            if name == "team_states":
                for club in rows:
                    clubs.setdefault(club.competition, {})[club.name.casefold()] = club
        competitions = sorted({*matches.seasons, *clubs})
        by_id = {row.match_id: row for row in matches.rows}
        return Snapshot(matches, by_id, next_fixtures(matches.rows, clubs), clubs, tuple(competitions))

    # -- clubs and fixtures -----------------------------------------------------------------------------------------

    def resolve_fixture(
        self, home_team: str, away_team: str, competition: str | None = None, kick_off: datetime | None = None
    ) -> Fixture:
        """Find the fixture of two clubs, given by name; raises InvalidFieldError with suggestions."""
        cache = self.snapshot.fixture_cache
        fixture = cache.find(competition, home_team, away_team)
        if fixture is None:
            fixture = self._find_fixture(home_team, away_team, competition)
            cache.add(competition, home_team, away_team, fixture)
        if kick_off is None:
            return fixture
        self._check_kick_off(fixture, kick_off)
        return replace(fixture, kick_off=to_iso_utc(kick_off))

    def _check_kick_off(self, fixture: Fixture, kick_off: datetime) -> None:
        """Raise InvalidFieldError if the requested kick-off cannot be that of the fixture."""
        if fixture.kick_off is not None:
            due = datetime.fromisoformat(fixture.kick_off)
            if abs(kick_off - due) > RESCHEDULE_TOLERANCE:
                raise InvalidFieldError(
                    f"{fixture.home_team} v {fixture.away_team} kicks off at {to_iso_utc(due)} ({fixture.match_id}), "
                    f"not at {to_iso_utc(kick_off)}; omit kick_off to forecast that match",
                    "kick_off",
                    [to_iso_utc(due)],
                )
            return
        members = self.snapshot.clubs[fixture.competition]
        clubs = [members[name.casefold()] for name in (fixture.home_team, fixture.away_team)]
        last_result = max((club.features_as_of for club in clubs if club.features_as_of is not None), default=None)
        if last_result is not None and kick_off - last_result > MAX_FIXTURE_HORIZON:
            raise InvalidFieldError(
                f"kick_off {to_iso_utc(kick_off)} is too far ahead: more than a year after the last result "
                f"of these clubs ({to_iso_utc(last_result)})",
                "kick_off",
            )

    def _find_fixture(self, home_team: str, away_team: str, competition: str | None) -> Fixture:
        clubs = self.snapshot.clubs
        if not clubs:
            raise NotPublishedError("no club can be forecast yet: run the pipeline to publish team states")
        if competition is None:
            competition = self._competition_of(home_team, away_team)
        elif competition not in clubs:
            suggestions = suggest(competition, list(clubs)) or sorted(clubs)[:3]
            raise InvalidFieldError(
                f"competition {competition!r} is unknown or has no ratings", "competition", suggestions
            )
        home = self._club(competition, home_team, "home_team")
        away = self._club(competition, away_team, "away_team")
        if home.name == away.name:
            raise InvalidFieldError(
                f"home_team and away_team must be different clubs, both are {home.name}", "away_team"
            )
        listed = self.snapshot.next_fixtures.get((competition, home.name, away.name))
        if listed is not None:
            return _build_fixture(listed.match_id, listed.season, listed.kick_off, home, away, listed.neutral)
        season = max(home.season, away.season)
        match_id = self._unused_match_id(competition, season, home.name, away.name)
        return _build_fixture(match_id, season, None, home, away, False, in_lake=False)

    def _unused_match_id(self, competition: str, season: str, home: str, away: str) -> str:
        """Build the id of the clubs' next meeting at this ground: one that no match in the lake has."""
        ids = (build_match_id(competition, season, home, away, meeting) for meeting in count(1))
        return next(match_id for match_id in ids if match_id not in self.snapshot.by_id)

    def _competition_of(self, home_team: str, away_team: str) -> str:
        clubs = self.snapshot.clubs
        home, away = ({slug for slug in clubs if self._club_by_name(slug, name)} for name in (home_team, away_team))
        shared = sorted(home & away)
        if len(shared) == 1:
            return shared[0]
        if len(shared) > 1:
            raise InvalidFieldError("both clubs play in several competitions: set competition", "competition", shared)
        for name, slugs, field_name in ((home_team, home, "home_team"), (away_team, away, "away_team")):
            if not slugs:
                names = [club.name for members in clubs.values() for club in members.values()]
                raise InvalidFieldError(f"club {name!r} is unknown", field_name, suggest(name, names))
        raise InvalidFieldError(f"{home_team} and {away_team} play in different competitions", "away_team")

    def _club(self, competition: str, name: str, field_name: str) -> Club:
        club = self._club_by_name(competition, name)
        if club is None:
            suggestions = suggest(name, [member.name for member in self.snapshot.clubs[competition].values()])
            raise InvalidFieldError(f"club {name!r} is unknown in {competition}", field_name, suggestions)
        return club

    def _club_by_name(self, competition: str, name: str) -> Club | None:
        members = self.snapshot.clubs[competition]
        return members.get(name.casefold()) or members.get(self._canonical_key(competition, name))

    def _canonical_key(self, competition: str, alias: str) -> str:
        """Return the case-folded canonical name of the club with this alias; empty if there is none."""
        own, country = (self._aliases.get(scope, {}) for scope in (competition, country_of(competition)))
        return own.get(alias.casefold()) or country.get(alias.casefold(), "")

    # -- matches ----------------------------------------------------------------------------------------------------

    def check_competition(self, slug: str) -> None:
        """Raise UnknownCompetitionError with suggestions if the lake does not have the competition."""
        competitions = self.snapshot.competitions
        if slug not in competitions:
            suggestions = suggest(slug, list(competitions)) or list(competitions)[:3]
            raise UnknownCompetitionError(f"competition {slug[:100]!r} is unknown", suggestions=suggestions)

    def club_name(self, name: str) -> str:
        """Return the canonical name of a club that has matches; raises InvalidFieldError with suggestions."""
        matches = self.snapshot.match_index
        keys = [name.casefold(), *(self._canonical_key(slug, name) for slug in matches.seasons)]
        canonical = next((matches.club_names[key] for key in keys if key in matches.club_names), None)
        if canonical is None:
            raise InvalidFieldError(
                f"club {name!r} has no matches", "team", suggest(name, list(matches.club_names.values()))
            )
        return canonical

    def check_season(self, season: str, competition: str | None) -> None:
        """Raise InvalidFieldError with suggestions if the competition, or the lake, has no match of the season."""
        counts = self.snapshot.match_index.seasons
        slugs = [competition] if competition is not None else list(counts)
        seasons = sorted({name for slug in slugs for name in counts.get(slug, {})}, reverse=True)
        if season not in seasons:
            subject = f"{competition} has" if competition else "there are"
            suggestions = suggest(season, seasons) or seasons[:3]
            raise InvalidFieldError(f"{subject} no matches of season {season!r}", "season", suggestions)


def competition_name(slug: str) -> tuple[str, str]:
    """Return name and country of a competition; a competition that is not listed is named by its slug."""
    listed = next((competition for competition in COMPETITIONS if competition.slug == slug), None)
    return (listed.name, listed.country) if listed else (slug, slug.split("-", 1)[0])


def _build_fixture(
    match_id: str, season: str, kick_off: datetime | None, home: Club, away: Club, neutral: bool, in_lake: bool = True
) -> Fixture:
    when = None if kick_off is None else to_iso_utc(kick_off)
    return Fixture(match_id, home.competition, season, when, home.name, away.name, neutral, in_lake)
