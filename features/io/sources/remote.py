"""Sources that are fetched over HTTP: the files of a competition, as of a given time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd

from features.competitions import Competition
from features.competitions import competition as look_up
from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources import football_data, openfootball
from features.io.sources.archive import FileArchive
from features.io.sources.client import Client, Fetched
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.row_parsing import ParsedFile, with_listings
from features.io.sources.source_result import Defect
from features.io.sources.usable_version import Reading, read
from features.io.store import Lake
from features.seasons import split_season

FIXTURES = "/fixtures.csv"
"""All upcoming fixtures; football-data.co.uk rewrites the file a few times a week."""

LEAGUE_FIXTURES = "/new_league_fixtures.csv"
"""The same for the leagues whose seasons are all in one file."""


def seasons(first: int, now: datetime) -> list[str]:
    """List the seasons from the one that began in year `first` to the current one: "2015-16" and so on."""
    last = now.year if now.month >= 7 else now.year - 1
    return [split_season(start) for start in range(first, last + 1)]


def load(
    name: str, settings: Settings, competition: str, now: datetime, clock: datetime, on_progress: Callable[[str], None]
) -> tuple[pd.DataFrame, list[Defect], dict[str, Any]]:
    """Fetch all files of a competition at `clock`, the real time, and parse them as they were known at `now`."""
    league = look_up(competition)
    report: dict[str, Any] = {"source": name, "files": 0, "rows": 0, "other_rows": 0}
    report |= {kind: [] for kind in ("stale", "missing", "unusable", "changed")}
    tables, defects = [], []
    known = load_aliases(settings.aliases)
    with Client(FileArchive(Lake(settings.lake_root)), on_progress=on_progress) as client:
        for url, parse in _files(name, settings, league, now, known):
            reading = read(client, url, parse, now, clock, known_later=not url.endswith((FIXTURES, LEAGUE_FIXTURES)))
            _count(report, url, reading)
            if reading.parsed is not None:
                tables.append(reading.parsed.matches)
                defects += reading.parsed.defects
    filled = [table for table in tables if len(table)]
    if not filled:
        reasons = [*report["unusable"], *(f"missing file: {url}" for url in report["missing"])]
        raise SourceError(f"{name} has no match of {competition}; {'; '.join(reasons)}")
    return pd.concat(map(with_listings, filled), ignore_index=True), defects, report


def _count(report: dict[str, Any], url: str, reading: Reading) -> None:
    fetched, parsed = reading.fetched, reading.parsed
    if fetched is None or parsed is None:
        report["unusable" if reading.refusals else "missing"].append(": ".join([url, *reading.refusals[:1]]))
        return
    report["files"] += 1
    report["rows"] += parsed.rows
    report["other_rows"] += parsed.other_rows
    version = f"{fetched.fetched_at:%Y-%m-%d %H:%M}"
    if reading.refusals:
        report["unusable"].append(f"{url}: {reading.refusals[0]}; used version of {version}")
    if reading.stale:
        report["stale"].append(f"{url} as of {version}: {reading.stale}")
    if fetched.changed:
        report["changed"].append(url)


def _files(
    name: str, settings: Settings, league: Competition, now: datetime, known: ClubAliases
) -> list[tuple[str, Callable[[Fetched], ParsedFile]]]:
    """List the address and the parser of each file."""
    season_names = seasons(settings.first_season, now)
    if name == "openfootball":
        base, code = settings.openfootball_url, str(league.openfootball)
        return [
            (openfootball.address(base, code, season), _openfootball(league, season, known)) for season in season_names
        ]
    base, code = settings.football_data_url, str(league.football_data)
    if code.startswith(football_data.NEW):
        years = range(settings.first_season, now.year + 1)
        results: list[pd.DataFrame] = []
        return [
            (football_data.address(base, code, season_names[-1]), _all_seasons(league, years, known, results)),
            (f"{base.rstrip('/')}{LEAGUE_FIXTURES}", _league_fixtures(league, known, results)),
        ]
    files = [
        (football_data.address(base, code, season), _football_data(league, season, known)) for season in season_names
    ]
    fixtures_url = f"{base.rstrip('/')}{FIXTURES}"
    return [*files, (fixtures_url, _football_data(league, season_names[-1], known, fixtures=True))]


def _football_data(
    league: Competition, season: str, known: ClubAliases, fixtures: bool = False
) -> Callable[[Fetched], ParsedFile]:
    def parse(fetched: Fetched) -> ParsedFile:
        file = fetched.url.split("/", 3)[-1]
        division = str(league.football_data)
        return football_data.parse(
            fetched.content, file, league.slug, season, division, fixtures, known, fetched.fetched_at
        )

    return parse


def _all_seasons(
    league: Competition, years: range, known: ClubAliases, results: list[pd.DataFrame]
) -> Callable[[Fetched], ParsedFile]:
    """Build the parser of a league's only file; it adds the matches to `results`, for the parser of the fixtures."""

    def parse(fetched: Fetched) -> ParsedFile:
        file = fetched.url.split("/", 3)[-1]
        parsed = football_data.parse_seasons(fetched.content, file, league.slug, years, known)
        results.append(parsed.matches)
        return parsed

    return parse


def _league_fixtures(
    league: Competition, known: ClubAliases, results: list[pd.DataFrame]
) -> Callable[[Fetched], ParsedFile]:
    def parse(fetched: Fetched) -> ParsedFile:
        file = fetched.url.split("/", 3)[-1]
        if not results:
            raise SourceError(f"{file} names no seasons, and without results of {league.slug} they are unknown")
        return football_data.parse_league_fixtures(
            fetched.content, file, league.slug, results[-1], known, fetched.fetched_at
        )

    return parse


def _openfootball(league: Competition, season: str, known: ClubAliases) -> Callable[[Fetched], ParsedFile]:
    def parse(fetched: Fetched) -> ParsedFile:
        file = "/".join(fetched.url.split("/")[-2:])
        return openfootball.parse(fetched.content, file, league.slug, season, league.timezone, known)

    return parse
