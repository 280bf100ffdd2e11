"""football-data.co.uk: one CSV file for each division and season since 1993, and one file of upcoming fixtures."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from features.errors import SourceError, UnknownTeamError
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.row_parsing import (
    BadRowError,
    FileParse,
    kick_off,
    parse_count,
    parse_date,
    parse_odds,
    season_window,
)
from features.io.sources.source_result import Defect
from features.matches import Status

SOURCE = "football_data"
TIMEZONE = "Europe/London"
"""All times in the files are British, whatever the country."""

NEW = "new/"
"""Prefix of divisions whose seasons are all in one file, with closing odds only."""

_DATES = ("%d/%m/%Y", "%d/%m/%y", "%Y-%m-%d")
_OLD_NAMES = {"Home": "HomeTeam", "Away": "AwayTeam", "HG": "FTHG", "AG": "FTAG", "HT": "HomeTeam", "AT": "AwayTeam"}
_NEEDED = ("Date", "HomeTeam", "AwayTeam")
# The first of these that a row has is used. Averages forecast best (their name changed in 2019/20); Bet365 has the
# longest series.
_ODDS = ("Avg{}", "BbAv{}", "PS{}", "B365{}", "WH{}", "LB{}", "GB{}")
_CLOSING = ("AvgC{}", "PSC{}", "B365C{}")
_COLLECTED = (1, 4)  # Tuesday and Friday
_COLLECTED_BY = time(18)
_SHOTS = {"home_shots": "HS", "away_shots": "AS", "home_shots_on_target": "HST", "away_shots_on_target": "AST"}


def address(base: str, division: str, season: str) -> str:
    """Build the URL of a division's season, `{base}/mmz4281/2324/E0.csv`, or of all seasons, `{base}/new/BRA.csv`."""
    if division.startswith(NEW):
        return f"{base.rstrip('/')}/{division}.csv"
    start = int(season[:4])
    return f"{base.rstrip('/')}/mmz4281/{start % 100:02d}{(start + 1) % 100:02d}/{division}.csv"


def odds_known_at(kick_off: datetime) -> datetime:
    """Return when the odds before a match were collected: 18:00 of the collection day, or kick-off if earlier.

    The site collects them on Friday afternoons for the weekend and on Tuesday afternoons for the days between.
    """
    local = kick_off.astimezone(ZoneInfo(TIMEZONE))
    back = (local.weekday() - _COLLECTED[0]) % 7, (local.weekday() - _COLLECTED[1]) % 7
    day = local.date() - timedelta(days=min(back))
    return min(datetime.combine(day, _COLLECTED_BY, ZoneInfo(TIMEZONE)).astimezone(UTC), kick_off)


def parse(
    content: bytes,
    file: str,
    competition: str,
    season: str,
    division: str,
    fixtures: bool = False,
    known: ClubAliases | None = None,
    fetched_at: datetime | None = None,
) -> tuple[pd.DataFrame, list[Defect], int]:
    """Parse one file: matches, defects and the number of rows.

    Parameters
    ----------
    file : name of the file, for messages.
    division : required value of the column `Div`; other rows of a fixtures file are ignored.
    fixtures : whether this is the fixtures file. There, rows without a score are upcoming matches, rows of another
        season are skipped, and the file may have no matches. In a results file, rows without a score are rejected.
    known : club aliases; default: those of the package.
    fetched_at : when this content was first fetched; the odds of upcoming matches were known at that time.

    Raises
    ------
    SourceError
        If the file as a whole is unusable: it is not a CSV of matches, has another division or too many bad rows.
    """
    parsed = FileParse(SOURCE, file, known or load_aliases())
    others: set[str] = set()
    for row, cells in _rows(content, file, parsed):
        if cells.get("Div", division) != division:
            others.add(cells["Div"])
            continue
        parsed.rows += 1
        try:
            if fixtures and _is_of_another_season(cells, season):
                parsed.skip(row, f"{cells['Date']} is not in the season {season}", cells)
                continue
            match = _match(cells, row, parsed, competition, season, fixtures)
        except (BadRowError, UnknownTeamError) as error:
            parsed.reject(row, str(error), cells)
            continue
        if not np.isnan(match["odds_home"]):
            upcoming = match["status"] != Status.PLAYED and fetched_at is not None
            match["odds_known_at"] = fetched_at if upcoming else odds_known_at(match["kick_off"])
        parsed.accept(row, match, cells)
    if fixtures and not parsed.good and parsed.is_trusted():  # between two seasons there are no fixtures
        return pd.DataFrame(), parsed.defects, parsed.rows
    if others and not fixtures:
        raise SourceError(f"{file} holds division {', '.join(sorted(others))}, not {division}")
    return parsed.matches(), parsed.defects, parsed.rows


def parse_seasons(
    content: bytes, file: str, competition: str, seasons: Collection[int], known: ClubAliases | None = None
) -> tuple[pd.DataFrame, list[Defect], int]:
    """Parse the seasons that start in one of the years `seasons` from a file with all seasons of a league.

    Raises
    ------
    SourceError
        If the file is unusable, as in `parse`, or holds several leagues.
    """
    parsed = FileParse(SOURCE, file, known or load_aliases())
    leagues: set[str] = set()
    for row, cells in _rows(content, file, parsed):
        leagues.add(cells.get("League", ""))
        years = re.fullmatch(r"(\d{4})(?:/\d\d(\d\d))?", cells.get("Season", ""))
        if years is not None and int(years[1]) not in seasons:
            continue
        parsed.rows += 1
        try:
            if years is None:
                raise BadRowError(f"season {cells.get('Season', '')!r} is not of the form 2024 or 2024/2025")
            season = f"{years[1]}-{years[2]}" if years[2] else years[1]
            parsed.accept(row, _match(cells, row, parsed, competition, season, fixtures=False), cells)
        except (BadRowError, UnknownTeamError) as error:
            parsed.reject(row, str(error), cells)
    if len(leagues) > 1:
        raise SourceError(f"{file} holds several leagues: {', '.join(sorted(leagues))}")
    return parsed.matches(), parsed.defects, parsed.rows


def _rows(content: bytes, file: str, parsed: FileParse) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and named cells of each row that is not blank."""
    if content.lstrip()[:1] == b"<":
        raise SourceError(f"{file} is a web page, not a CSV: the address is wrong or the server sends an error page")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    # some files contain a byte order mark that was decoded as Latin-1 and encoded again
    lines = csv.reader(io.StringIO(text.removeprefix("ï»¿")))
    header = [_OLD_NAMES.get(name.strip(), name.strip()) for name in next(lines, [])]
    if missing := [name for name in _NEEDED if name not in header]:
        raise SourceError(f"{file} has no column {', '.join(missing)}; it has {', '.join(header[:10])}")
    for cells in lines:
        named = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name}
        if not any(named.get(name) for name in _NEEDED):
            if rest := [cell for cell in cells if cell.strip()]:
                parsed.fix(lines.line_num, f"no date and no clubs, only {rest}: row ignored", cells)
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            parsed.fix(lines.line_num, "more cells than columns: extra cells ignored", cells)
        yield lines.line_num, named


def _is_of_another_season(cells: dict[str, str], season: str) -> bool:
    """Whether a row belongs to another season: in summer, the fixtures file still has rows of the old season."""
    first, last = season_window(season)
    return not first <= parse_date(cells.get("Date", ""), _DATES) <= last


def _match(
    cells: dict[str, str], row: int, parsed: FileParse, competition: str, season: str, fixtures: bool
) -> dict[str, Any]:
    where = f"{parsed.file} row {row}"
    if not cells.get("HomeTeam") or not cells.get("AwayTeam"):
        raise BadRowError("a club is missing")
    day = parse_date(cells["Date"], _DATES)
    first, last = season_window(season)
    if not first <= day <= last:
        raise BadRowError(f"{day} is not in the season {season}")
    moment, exact = kick_off(day, cells.get("Time", ""), TIMEZONE)
    home, away = (parsed.aliases.canonical(cells[side], competition, where) for side in ("HomeTeam", "AwayTeam"))
    if home == away:
        raise BadRowError(f"home and away club are both {home}")
    match: dict[str, Any] = {
        "competition": competition,
        "season": season,
        "kick_off": moment,
        "kick_off_exact": exact,
        "home_team": home,
        "away_team": away,
        "neutral": False,
        "status": Status.SCHEDULED.value,
        "awarded": False,
        "source": SOURCE,
        **_odds(cells, row, parsed),
    }
    goals = cells.get("FTHG", ""), cells.get("FTAG", "")
    if not any(goals):
        if not fixtures:
            raise BadRowError("no score in a file of results")
        return match
    match["home_goals"], match["away_goals"] = (parse_count(cell, "the score") for cell in goals)
    match["status"] = Status.PLAYED.value
    result = "D" if goals[0] == goals[1] else "H" if int(float(goals[0])) > int(float(goals[1])) else "A"
    if cells.get("FTR", result) not in (result, ""):
        parsed.fix(row, f"FTR is {cells['FTR']} but the score is {goals[0]}-{goals[1]}: score used", cells)
    return match | _shots(cells, row, parsed)


def _shots(cells: dict[str, str], row: int, parsed: FileParse) -> dict[str, object]:
    try:
        counts = {name: parse_count(cells[cell], cell, 100) for name, cell in _SHOTS.items() if cells.get(cell)}
    except BadRowError as error:
        parsed.fix(row, f"{error}: shots ignored", cells)
        return {}
    for side in ("home", "away"):
        if counts.get(f"{side}_shots_on_target", 0) > counts.get(f"{side}_shots", 1000):
            parsed.fix(row, f"more shots on target than shots for the {side} side: shots ignored", cells)
            return {}
    return dict(counts)


def _odds(cells: dict[str, str], row: int, parsed: FileParse) -> dict[str, object]:
    odds: dict[str, object] = {}
    for prefix, candidates in (("odds", _ODDS), ("closing", _CLOSING)):
        for pattern in candidates:
            texts = [cells.get(pattern.format(side), "") for side in "HDA"]
            if not all(texts):
                continue
            values = [parse_odds(text) for text in texts]
            if any(value is None for value in values):
                parsed.fix(row, f"odds {pattern.format('*')} = {'/'.join(texts)} are not decimal odds: ignored", cells)
                continue
            odds |= dict(zip((f"{prefix}_home", f"{prefix}_draw", f"{prefix}_away"), values, strict=True))
            break
        else:
            odds |= {f"{prefix}_{side}": np.nan for side in ("home", "draw", "away")}
    return odds
