"""Sources that are fetched over HTTP: the files of a competition, as of a given time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from features.competitions import Competition
from features.competitions import competition as look_up
from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources import football_data, openfootball
from features.io.sources.archive import FileArchive, is_backdated
from features.io.sources.client import Client, Fetched
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.source_result import Defect
from features.io.store import Lake
from features.matches import PAIR, Status, conform, with_match_ids

FIXTURES = "/fixtures.csv"
"""All upcoming fixtures; football-data.co.uk rewrites the file a few times a week."""

SAME_DAYS = timedelta(days=3)
"""A fixture and a result of the same pair within this time are the same match."""

Parsed = tuple[pd.DataFrame, list[Defect], int]


def seasons(first: int, now: datetime) -> list[str]:
    """List the seasons from the one that began in year `first` to the current one: "2015-16" and so on."""
    last = now.year if now.month >= 7 else now.year - 1
    return [f"{start}-{(start + 1) % 100:02d}" for start in range(first, last + 1)]


def load(
    name: str, settings: Settings, competition: str, now: datetime, clock: datetime, on_progress: Callable[[str], None]
) -> tuple[pd.DataFrame, list[Defect], dict[str, Any]]:
    """Fetch all files of a competition at `clock`, the real time, and parse them as they were known at `now`."""
    league = look_up(competition)
    report: dict[str, Any] = {"source": name, "files": 0, "rows": 0, "stale": [], "missing": [], "changed": []}
    tables, defects = [], []
    known = load_aliases(settings.aliases)
    past = is_backdated(now, clock)
    with Client(FileArchive(Lake(settings.lake_root)), on_progress=on_progress) as client:
        for url, parse in _files(name, settings, league, now, known):
            fetched = client.known_at(url, now) if past else None
            if fetched is None and not (past and url.endswith(FIXTURES)):  # today's fixtures were not known then
                fetched = client.get(url, clock)
            if fetched is None:
                report["missing"].append(url)
                continue
            table, file_defects, rows = parse(fetched)
            tables.append(table)
            defects += file_defects
            _count(report, fetched, rows)
    filled = [table for table in tables if len(table)]
    if not filled:
        raise SourceError(f"{name} has no match of {competition}; missing files: {', '.join(report['missing'])}")
    return _concat(filled, league.meetings), defects, report


def _count(report: dict[str, Any], fetched: Fetched, rows: int) -> None:
    report["files"] += 1
    report["rows"] += rows
    if fetched.stale:
        report["stale"].append(f"{fetched.url} as of {fetched.fetched_at:%Y-%m-%d %H:%M}: {fetched.stale}")
    if fetched.changed:
        report["changed"].append(fetched.url)


def _files(
    name: str, settings: Settings, league: Competition, now: datetime, known: ClubAliases
) -> list[tuple[str, Callable[[Fetched], Parsed]]]:
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
        return [(football_data.address(base, code, season_names[-1]), _all_seasons(league, years, known))]
    files = [
        (football_data.address(base, code, season), _football_data(league, season, known)) for season in season_names
    ]
    fixtures_url = f"{base.rstrip('/')}{FIXTURES}"
    return [*files, (fixtures_url, _football_data(league, season_names[-1], known, fixtures=True))]


def _football_data(
    league: Competition, season: str, known: ClubAliases, fixtures: bool = False
) -> Callable[[Fetched], Parsed]:
    def parse(fetched: Fetched) -> Parsed:
        file = fetched.url.split("/", 3)[-1]
        division = str(league.football_data)
        return football_data.parse(
            fetched.content, file, league.slug, season, division, fixtures, known, fetched.fetched_at
        )

    return parse


def _all_seasons(league: Competition, years: range, known: ClubAliases) -> Callable[[Fetched], Parsed]:
    def parse(fetched: Fetched) -> Parsed:
        file = fetched.url.split("/", 3)[-1]
        return football_data.parse_seasons(fetched.content, file, league.slug, years, known)

    return parse


def _openfootball(league: Competition, season: str, known: ClubAliases) -> Callable[[Fetched], Parsed]:
    def parse(fetched: Fetched) -> Parsed:
        file = "/".join(fetched.url.split("/")[-2:])
        return openfootball.parse(fetched.content, file, league.slug, season, league.timezone, known)

    return parse


def _concat(tables: Sequence[pd.DataFrame], meetings: int | None) -> pd.DataFrame:
    """Combine all files into one table with one row for each match; a result replaces its fixture.

    A fixture and a result are the same match if the pair meets only once at each ground, or if their days are close
    (`SAME_DAYS`). Meetings are numbered again, because those of a pair may be in different files.
    """
    table = pd.concat(tables, ignore_index=True)
    played = table["status"] == Status.PLAYED
    results = table.loc[played, [*PAIR, "kick_off"]].rename(columns={"kick_off": "result"})
    both = table.loc[~played, [*PAIR, "kick_off"]].reset_index().merge(results, on=PAIR)
    same = both if meetings == 1 else both[(both["kick_off"] - both["result"]).abs() <= SAME_DAYS]
    return conform(with_match_ids(table[~table.index.isin(same["index"])]))
