"""The API's view of the lake. A thread refreshes it.

Requests read a snapshot that is swapped as a whole. It is immutable except for its cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pandas as pd
import pyarrow as pa
import structlog

from features.competitions import COMPETITIONS, country_of
from features.errors import InvalidInputError, NotPublishedError, UnknownCompetitionError
from features.forecast_schemas import FORECASTS
from features.io.clock import Clock
from features.io.store import Fingerprint, Lake
from features.league_rules import LeagueRules, rules_of
from features.matches import build_match_id
from features.names import NameIndex
from features.rating_history import STATES
from features.seasons import UTC_MARGIN, next_season, season_window
from features.teams import describe_mixed_scripts, suggest, unknown_club
from monitoring.metrics import UNREADABLE_TABLES
from serving.api.catalogue.match_index import MatchIndex, MatchRow
from serving.api.catalogue.resolved_fixture_cache import ResolvedFixtureCache
from serving.api.catalogue.row_builders import (
    MATCHES,
    SETTLED,
    Club,
    NextFixture,
    build_rows,
    club_rows,
    failure_reason,
    match_rows,
    next_fixtures,
)
from serving.api.catalogue.weekly_table_index import WeeklyTableIndex
from serving.errors import InvalidFieldError
from serving.wire.fixtures import Fixture, to_iso_utc

log = structlog.get_logger(__name__)
RESCHEDULE_TOLERANCE = timedelta(days=7)
"""How far from its listed kick-off a match may be played outside its season."""
MAX_FIXTURE_HORIZON = timedelta(days=366)
"""How long after the last known result a match that the lake does not have may be."""


@dataclass(frozen=True)
class Snapshot:
    """One consistent view of the lake."""

    match_index: MatchIndex = field(default_factory=MatchIndex)
    by_id: Mapping[str, MatchRow] = field(default_factory=dict)
    next_fixtures: Mapping[tuple[str, str, str], NextFixture] = field(default_factory=dict)
    clubs: Mapping[str, Mapping[str, Club]] = field(default_factory=dict)
    """Clubs that can be forecast, by competition and name."""
    competitions: tuple[str, ...] = ()
    club_index: dict[str | None, NameIndex] = field(default_factory=dict)
    """Spellings of the clubs that can be forecast, by competition; under None, of all clubs with matches."""
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
        self,
        lake: Lake,
        aliases: Mapping[str, Mapping[str, str]] | None = None,
        clock: Clock | None = None,
        formats: Mapping[str, LeagueRules] | None = None,
    ) -> None:
        """`aliases` by country or competition, as `features.io.sources.club_aliases` has them.

        `formats` by competition, as a user has entered them; they take precedence over the listed ones.
        """
        self.lake = lake
        self.clock = clock
        self.as_of: datetime | None = None
        """The time that the platform treats as now."""
        self._aliases = aliases or {}
        self._formats = formats or {}
        self.forecasts = WeeklyTableIndex(lake, "forecasts", FORECASTS)
        self.settled = WeeklyTableIndex(lake, "settled_forecasts", SETTLED)
        self._tables: dict[tuple[str, str], tuple[Fingerprint | None, Any]] = {}
        self._unreadable: dict[str, str] = {}
        self._has_changed = False
        self._refreshes: dict[str, Callable[[], object]] = {
            "forecasts": self.forecasts.refresh,
            "settled_forecasts": self.settled.refresh,
            "matches": partial(self._refresh_partitions, "matches", match_rows, MATCHES),
            "team_states": partial(self._refresh_partitions, "team_states", club_rows, STATES),
            "snapshot": self._swap_snapshot,
        }
        """How each table of the lake is refreshed, and then what requests read."""
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
        for name, refresh in self._refreshes.items():
            try:
                refresh()
                self._unreadable.pop(name, None)
            except Exception as error:  # for example, the storage does not list the table; others are still read
                self._report_unreadable(name, error)
        self._count_unreadable_tables()

    def _swap_snapshot(self) -> None:
        if self._has_changed:
            self.snapshot, self._has_changed = self._build_snapshot(), False

    def _refresh_partitions(self, name: str, make: Callable[[pd.DataFrame], Any], schema: pa.Schema) -> None:
        cached = {partition for table, partition in self._tables if table == name}
        for partition in sorted({*self.lake.partitions(name), *cached}):
            self._read(name, partition, make, schema)

    def _count_unreadable_tables(self) -> None:
        """Set the metric of each table to the number of its parts that could not be read."""
        counts = Counter(name.partition("/")[0] for name in self.unreadable_tables)
        for table in self._refreshes:
            UNREADABLE_TABLES.labels(table).set(counts[table])

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
        except Exception as error:  # of any class: a damaged table must not keep others from being read
            self._report_unreadable(f"{name}/{partition}", error)

    def _report_unreadable(self, name: str, error: Exception) -> None:
        """Keep the reason for readiness, and log it once."""
        reason = failure_reason(error)
        if self._unreadable.get(name) != reason:
            log.warning("table.read_failed", table=name, error=reason)
        self._unreadable[name] = reason

    def _build_snapshot(self) -> Snapshot:
        matches = MatchIndex(row for (name, _), (_, rows) in self._tables.items() if name == "matches" for row in rows)
        clubs: dict[str, dict[str, Club]] = {}
        for (name, _), (_, rows) in self._tables.items():
            if name == "team_states":
                for club in rows:
                    clubs.setdefault(club.competition, {})[club.name] = club
        competitions = sorted({*matches.seasons, *clubs})
        by_id = {row.match_id: row for row in matches.rows}
        return Snapshot(matches, by_id, next_fixtures(matches.rows, clubs), clubs, tuple(competitions))

    # -- clubs and fixtures -----------------------------------------------------------------------------------------

    def resolve_fixture(
        self, home_team: str, away_team: str, competition: str | None = None, kick_off: datetime | None = None
    ) -> Fixture:
        """Find the fixture of two clubs, given by name.

        Raises InvalidFieldError or UnknownCompetitionError, both with suggestions.
        """
        cache = self.snapshot.fixture_cache
        fixture = cache.find(competition, home_team, away_team)
        if fixture is None:
            fixture = self._find_fixture(home_team, away_team, competition)
            cache.add(competition, home_team, away_team, fixture)
        if kick_off is None:
            return fixture
        if not fixture.in_lake:
            self._check_horizon(fixture, kick_off)
            return replace(self._unlisted_fixture_at(fixture, kick_off), kick_off=to_iso_utc(kick_off))
        return self._listed_fixture_at(fixture, kick_off)

    def _listed_fixture_at(self, fixture: Fixture, kick_off: datetime) -> Fixture:
        """Move a fixture to the day that the caller knows: sources learn of a new day later than others.

        Raises InvalidFieldError if the day is outside the fixture's season, since it is then another match.
        """
        due = None if fixture.kick_off is None else datetime.fromisoformat(fixture.kick_off)
        is_near = due is not None and abs(kick_off - due) <= RESCHEDULE_TOLERANCE
        if not is_near and not _is_in(fixture.season, kick_off):
            listed = [] if due is None else [to_iso_utc(due)]
            raise InvalidFieldError(
                f"{fixture.home_team} v {fixture.away_team} ({fixture.match_id}) is a match of season {fixture.season}"
                f"{f', listed for {listed[0]}' if listed else ''}, and kick_off {to_iso_utc(kick_off)} is not in that "
                "season; omit kick_off to forecast that match",
                "kick_off",
                listed,
            )
        listed_kick_off = fixture.kick_off if due is not None and due != kick_off else None
        return replace(fixture, kick_off=to_iso_utc(kick_off), listed_kick_off=listed_kick_off)

    def _unlisted_fixture_at(self, fixture: Fixture, kick_off: datetime) -> Fixture:
        """Move a fixture that no source lists to the season of its day.

        Raises InvalidFieldError if neither this season nor the next can have the match: in the format of the
        competition, all matches of these clubs at this ground are listed already, or the day is in neither season.
        """
        competition, home, away = fixture.competition, fixture.home_team, fixture.away_team
        season = self._current_season(competition, home, away)
        if kick_off.date() < season_window(season)[0] - UTC_MARGIN:
            return fixture  # the worker refuses what lies before its model's last result, and says when that was
        listed = self._last_listed_meeting(competition, season, home, away)
        if listed is None and _is_in(season, kick_off):
            return fixture
        upcoming = next_season(season)
        if _is_in(upcoming, kick_off):
            match_id = self._unused_match_id(competition, upcoming, home, away)
            return replace(fixture, season=upcoming, match_id=match_id)
        reason = (
            "is in no season that these clubs can be forecast for"
            if listed is None
            else f"is not in the next season, and {home} v {away} has no other match in {season}: see {listed}"
        )
        raise InvalidFieldError(f"kick_off {to_iso_utc(kick_off)} {reason}", "kick_off")

    def _current_season(self, competition: str, home: str, away: str) -> str:
        members = self.snapshot.clubs[competition]
        return max(members[home].season, members[away].season)

    def _last_listed_meeting(self, competition: str, season: str, home: str, away: str) -> str | None:
        """The id of the last meeting at this ground that the format has, if it is listed; None if one is left."""
        meetings = rules_of(competition, season, self._formats).meetings
        if meetings is None:
            return None
        slugs = self.snapshot.match_index.slugs(competition)
        last_id = build_match_id(competition, season, home, away, meetings, slugs)
        return last_id if last_id in self.snapshot.by_id else None

    def _check_horizon(self, fixture: Fixture, kick_off: datetime) -> None:
        """Raise InvalidFieldError if a match that no source lists is too far ahead."""
        members = self.snapshot.clubs[fixture.competition]
        clubs = [members[name] for name in (fixture.home_team, fixture.away_team)]
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
            self.check_competition(competition)
            raise UnknownCompetitionError(
                f"competition {competition!r} has no ratings: none of its clubs can be forecast",
                suggestions=sorted(clubs)[:3],
            )
        home, away = self._pair(competition, home_team, away_team)
        if home.name == away.name:
            raise InvalidFieldError(
                f"home_team and away_team must be different clubs, both are {home.name}", "away_team"
            )
        listed = self.snapshot.next_fixtures.get((competition, home.name, away.name))
        if listed is not None:
            return _build_fixture(listed.match_id, listed.season, listed.kick_off, home, away, listed.neutral)
        season = self._current_season(competition, home.name, away.name)
        if self._last_listed_meeting(competition, season, home.name, away.name) is not None:
            season = next_season(season)  # the format has no further meeting in this one
        match_id = self._unused_match_id(competition, season, home.name, away.name)
        return _build_fixture(match_id, season, None, home, away, False, in_lake=False)

    def _unused_match_id(self, competition: str, season: str, home: str, away: str) -> str:
        """Build the id of the clubs' next meeting at this ground: one that no match in the lake has."""
        slugs = self.snapshot.match_index.slugs(competition)
        ids = (build_match_id(competition, season, home, away, meeting, slugs) for meeting in count(1))
        return next(match_id for match_id in ids if match_id not in self.snapshot.by_id)

    def _competition_of(self, home_team: str, away_team: str) -> str:
        clubs = self.snapshot.clubs
        home, away = ({slug for slug in clubs if self._spelt(slug, name)} for name in (home_team, away_team))
        shared = sorted(home & away)
        if len(shared) == 1:
            return shared[0]
        if len(shared) > 1:
            raise InvalidFieldError("both clubs play in several competitions: set competition", "competition", shared)
        unknown = [
            self._unknown_club(name, field_name)
            for name, slugs, field_name in ((home_team, home, "home_team"), (away_team, away, "away_team"))
            if not slugs
        ]
        if unknown:
            raise InvalidFieldError.joined(unknown)
        raise InvalidFieldError(f"{home_team} and {away_team} play in different competitions", "away_team")

    def _pair(self, competition: str, home_team: str, away_team: str) -> tuple[Club, Club]:
        """Return both clubs; the error tells what is wrong with either of them."""
        members, errors, clubs = self.snapshot.clubs[competition], [], []
        for name, field_name in ((home_team, "home_team"), (away_team, "away_team")):
            found = self._spelt(competition, name)
            if len(found) == 1:
                clubs.append(members[found[0]])
            elif found:
                errors.append(_ambiguous_club(name, found, field_name))
            else:
                errors.append(self._unknown_club(name, field_name, competition))
        if errors:
            raise InvalidFieldError.joined(errors)
        return clubs[0], clubs[1]

    def _spelt(self, competition: str, name: str) -> tuple[str, ...]:
        """Return the clubs of a competition that a name can mean."""
        index = self.snapshot.club_index
        if competition not in index:
            index[competition] = NameIndex(self.snapshot.clubs[competition], self._aliases_in(competition))
        return index[competition].find(name)

    def _aliases_in(self, competition: str) -> Mapping[str, str]:
        return {**self._aliases.get(country_of(competition), {}), **self._aliases.get(competition, {})}

    def _unknown_club(self, name: str, field_name: str, competition: str | None = None) -> InvalidFieldError:
        """Return the error of a club that cannot be forecast: it is not in this season, or not in the data at all."""
        clubs, place = self.snapshot.clubs, f" in {competition}" if competition else ""
        for known in self._spelt_in_matches(name):
            if current := [slug for slug in clubs if known in clubs[slug]]:
                return InvalidFieldError(f"club {known!r} is not{place} now but in {', '.join(current)}", field_name)
            if last := self.snapshot.match_index.last_match(known):
                return InvalidFieldError(
                    f"club {known!r} is in the data but not in the current season, so it has no rating: its last match "
                    f"is of {last.competition}, season {last.season}",
                    field_name,
                )
        slugs = [competition] if competition else list(clubs)

        def near() -> list[str]:
            return suggest(name, [club for slug in slugs for club in clubs[slug]])

        return InvalidFieldError(f"club {name!r} is unknown{place}{describe_mixed_scripts(name)}", field_name, near)

    def _spelt_in_matches(self, name: str) -> tuple[str, ...]:
        """Return the clubs with matches that a name can mean, whether they can be forecast or not."""
        index, matches = self.snapshot.club_index, self.snapshot.match_index
        if None not in index:
            aliases = [self._aliases_in(slug) for slug in matches.seasons]
            index[None] = NameIndex(
                matches.club_names, {alias: club for table in aliases for alias, club in table.items()}
            )
        return index[None].find(name)

    # -- matches ----------------------------------------------------------------------------------------------------

    def check_competition(self, slug: str) -> None:
        """Raise UnknownCompetitionError with suggestions if the lake does not have the competition."""
        competitions = self.snapshot.competitions
        if slug not in competitions:
            raise UnknownCompetitionError(
                f"competition {slug[:100]!r} is unknown",
                suggestions=lambda: suggest(slug, list(competitions)) or list(competitions)[:3],
            )

    def club_name(self, name: str) -> str:
        """Return the canonical name of a club that has matches; raises InvalidFieldError with suggestions."""
        found = self._spelt_in_matches(name)
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous_club(name, found, "team")
        near = suggest(name, list(self.snapshot.match_index.club_names))
        raise InvalidFieldError(f"club {name!r} has no matches{describe_mixed_scripts(name)}", "team", near)

    def check_season(self, season: str, competition: str | None) -> None:
        """Raise InvalidFieldError with suggestions if the competition, or the lake, has no match of the season."""
        counts = self.snapshot.match_index.seasons
        slugs = [competition] if competition is not None else list(counts)
        seasons = sorted({name for slug in slugs for name in counts.get(slug, {})}, reverse=True)
        if season not in seasons:
            subject = f"{competition} has" if competition else "there are"
            suggestions = suggest(season, seasons) or seasons[:3]
            raise InvalidFieldError(f"{subject} no matches of season {season!r}", "season", suggestions)

    def check_filters(
        self, competition: str | None, season: str | None, date_from: date | None, date_to: date | None
    ) -> None:
        """Raise UnknownCompetitionError or InvalidFieldError for a filter that the lake has nothing for."""
        if competition is not None:
            self.check_competition(competition)
        if season is not None:
            self.check_season(season, competition)
        if date_from and date_to and date_from > date_to:
            raise InvalidFieldError(f"date_from {date_from} is after date_to {date_to}", "date_from")


def competition_name(slug: str) -> tuple[str, str]:
    """Return name and country of a competition; a competition that is not listed is named by its slug."""
    listed = next((competition for competition in COMPETITIONS if competition.slug == slug), None)
    return (listed.name, listed.country) if listed else (slug, slug.split("-", 1)[0])


def _ambiguous_club(name: str, clubs: Sequence[str], field_name: str) -> InvalidFieldError:
    return InvalidFieldError(unknown_club(name, clubs, is_ambiguous=True), field_name, clubs)


def _is_in(season: str, kick_off: datetime) -> bool:
    """Whether a kick-off can lie in a season, to one day for the time zone."""
    first, last = season_window(season)
    return first - UTC_MARGIN <= kick_off.date() <= last + UTC_MARGIN


def _build_fixture(
    match_id: str, season: str, kick_off: datetime | None, home: Club, away: Club, neutral: bool, in_lake: bool = True
) -> Fixture:
    when = None if kick_off is None else to_iso_utc(kick_off)
    return Fixture(match_id, home.competition, season, when, home.name, away.name, neutral, in_lake)
