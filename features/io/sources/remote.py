"""Sources behind HTTP: which files to fetch, and what was known when."""

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
from features.io.sources.client import Client, Fetched
from features.io.sources.result import Defect
from features.io.sources.versions import Versions, lies_back
from features.io.store import Lake

FIXTURES = "/fixtures.csv"
"""The file of all that is to come; football-data.co.uk writes it anew a few times a week."""

Parsed = tuple[pd.DataFrame, list[Defect], int]


def seasons(first: int, now: datetime) -> list[str]:
    """Seasons from the one that began in year `first` to the running one: "2015-16" and so on."""
    last = now.year if now.month >= 7 else now.year - 1
    return [f"{start}-{(start + 1) % 100:02d}" for start in range(first, last + 1)]


def load(
    name: str, settings: Settings, competition: str, now: datetime, clock: datetime, say: Callable[[str], None]
) -> tuple[pd.DataFrame, list[Defect], dict[str, Any]]:
    """Fetch at `clock`, the real time, and parse all files of a competition as they were known at `now`."""
    league = look_up(competition)
    report: dict[str, Any] = {"source": name, "files": 0, "rows": 0, "stale": [], "missing": [], "changed": []}
    tables, defects = [], []
    past = lies_back(now, clock)
    with Client(Versions(Lake(settings.lake_root)), say=say) as client:
        for url, parse in _files(name, settings, league, now):
            fetched = client.known_at(url, now) if past else None
            if fetched is None and not (past and url.endswith(FIXTURES)):  # today's fixtures were not those of then
                fetched = client.get(url, clock)
            if fetched is None:
                report["missing"].append(url)
                continue
            table, found, rows = parse(fetched)
            tables.append(table)
            defects += found
            _count(report, fetched, rows)
    filled = [one for one in tables if len(one)]
    if not filled:
        raise SourceError(f"{name} has no match of {competition}; not there: {', '.join(report['missing'])}")
    return _latest(pd.concat(filled, ignore_index=True)), defects, report


def _count(report: dict[str, Any], fetched: Fetched, rows: int) -> None:
    report["files"] += 1
    report["rows"] += rows
    if fetched.stale:
        report["stale"].append(f"{fetched.url} as of {fetched.fetched_at:%Y-%m-%d %H:%M}: {fetched.stale}")
    if fetched.changed:
        report["changed"].append(fetched.url)


def _files(
    name: str, settings: Settings, league: Competition, now: datetime
) -> list[tuple[str, Callable[[Fetched], Parsed]]]:
    """Address and parser of each file."""
    running = seasons(settings.first_season, now)
    if name == "openfootball":
        base, code = settings.openfootball_url, str(league.openfootball)
        return [(openfootball.address(base, code, season), _openfootball(league, season)) for season in running]
    base, code = settings.football_data_url, str(league.football_data)
    found = [(football_data.address(base, code, season), _football_data(league, season)) for season in running]
    coming = f"{base.rstrip('/')}{FIXTURES}"
    return [*found, (coming, _football_data(league, running[-1], fixtures=True))]


def _football_data(league: Competition, season: str, fixtures: bool = False) -> Callable[[Fetched], Parsed]:
    def parse(fetched: Fetched) -> Parsed:
        file = fetched.url.split("/", 3)[-1]
        division = str(league.football_data)
        return football_data.parse(fetched.content, file, league.slug, season, division, fixtures)

    return parse


def _openfootball(league: Competition, season: str) -> Callable[[Fetched], Parsed]:
    def parse(fetched: Fetched) -> Parsed:
        file = "/".join(fetched.url.split("/")[-2:])
        return openfootball.parse(fetched.content, file, league.slug, season, league.timezone)

    return parse


def _latest(table: pd.DataFrame) -> pd.DataFrame:
    """One row a match: where a fixture and its result are both there, the result."""
    known = table["home_goals"].notna()
    ordered = table.assign(_known=known).sort_values(["match_id", "_known"], kind="stable")
    return ordered.drop_duplicates("match_id", keep="last").drop(columns="_known").reset_index(drop=True)
