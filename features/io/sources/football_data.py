"""football-data.co.uk: one CSV file for each division and season since 1993, and one file of upcoming fixtures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from features.errors import SourceError
from features.io.sources.calendar_day import DayOrder, day_order, parse_day
from features.io.sources.cells import MAX_GOALS, BadRowError, is_empty, parse_count
from features.io.sources.clock_time import kick_off, unread_clock
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.decompression import unpack
from features.io.sources.odds_triple import parse_triple
from features.io.sources.one_file_league import is_country_of, other_leagues, season_of_fixture, season_of_label
from features.io.sources.row_parsing import FileParse, ParsedFile
from features.io.sources.text_table import read_text_table
from features.matches import Status
from features.seasons import season_window

SOURCE = "football_data"
TIMEZONE = "Europe/London"
"""All times in the files are British, whatever the country."""

NEW = "new/"
"""Prefix of divisions whose seasons are all in one file, with closing odds only."""

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
) -> ParsedFile:
    """Parse one file.

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
    rows = _rows(content, file, parsed)
    order = _order(rows, [] if fixtures else [season] * len(rows), parsed)
    others: dict[int, dict[str, str]] = {}
    for row, cells in rows:
        if not _is_of_division(cells, division, row, fixtures, parsed):
            others[row] = cells
            continue
        parsed.rows += 1
        try:
            if fixtures and not _is_in_season(cells, order, season):
                parsed.skip(row, f"{cells['Date']} is not in the season {season}", cells)
                continue
            match = _match(cells, row, parsed, competition, season, order, fixtures)
        except BadRowError as error:
            parsed.reject(row, str(error), cells)
            continue
        if not np.isnan(match["odds_home"]):
            upcoming = match["status"] != Status.PLAYED and fetched_at is not None
            match["odds_known_at"] = fetched_at if upcoming else odds_known_at(match["kick_off"])
        parsed.accept(row, match, cells)
    if not fixtures:
        _reject_others(parsed, others, division)
    return parsed.result(may_be_empty=fixtures)  # between two seasons there are no fixtures


def _is_of_division(cells: dict[str, str], division: str, row: int, fixtures: bool, parsed: FileParse) -> bool:
    """Whether a row belongs to the division. In a file of results, an empty cell means the file's division."""
    found = cells.get("Div", division)
    if found == division:
        return True
    if found and not is_empty(found):
        if fixtures:  # in a file of results, rows of another division are rejected
            parsed.other_rows += 1
        return False
    if fixtures:
        parsed.rows += 1
        parsed.reject(row, "no division", cells)
        return False
    parsed.fix(row, f"no division: read as {division}, like the file", cells)
    return True


def _reject_others(parsed: FileParse, others: dict[int, dict[str, str]], division: str) -> None:
    """Reject the rows of other divisions in a file of results.

    Raises
    ------
    SourceError
        If the file has no row of the division.
    """
    if others and not parsed.good:
        found = sorted({cells["Div"] for cells in others.values()})
        raise SourceError(f"{parsed.file} holds division {', '.join(found)}, not {division}")
    for row, cells in others.items():
        parsed.rows += 1
        parsed.reject(row, f"division {cells['Div']}, not {division}", cells)


def parse_seasons(
    content: bytes, file: str, competition: str, seasons: Collection[int], known: ClubAliases | None = None
) -> ParsedFile:
    """Parse the seasons that start in one of the years `seasons` from a file with all seasons of a league.

    Rows of another league that was played in the same season are skipped; a league may change its name, though.

    Raises
    ------
    SourceError
        If the file is unusable, as in `parse`.
    """
    parsed = FileParse(SOURCE, file, known or load_aliases())
    read = _rows(content, file, parsed)
    labels = [season_of_label(cells.get("Season", "")) for _, cells in read]
    order = _order(read, labels, parsed)
    rows = [(row, cells, season) for (row, cells), season in zip(read, labels, strict=True)]
    rows = [(row, cells, season) for row, cells, season in rows if season is None or int(season[:4]) in seasons]
    parsed.other_rows = len(read) - len(rows)
    others = other_leagues(competition, ((str(season), cells.get("League", "")) for _, cells, season in rows))
    for row, cells, season in rows:
        parsed.rows += 1
        try:
            if season is None:
                raise BadRowError(f"season {cells.get('Season', '')!r} is not of the form 2024 or 2024/2025")
            if (season, cells.get("League", "")) in others:
                parsed.skip(row, f"{cells['League']} is another league than {competition}", cells)
                continue
            parsed.accept(row, _match(cells, row, parsed, competition, season, order, fixtures=False), cells)
        except BadRowError as error:
            parsed.reject(row, str(error), cells)
    return parsed.result()


def parse_league_fixtures(
    content: bytes,
    file: str,
    competition: str,
    results: pd.DataFrame,
    known: ClubAliases | None = None,
    fetched_at: datetime | None = None,
) -> ParsedFile:
    """Parse the fixtures of one league from the file of upcoming matches of all leagues with one file each.

    Parameters
    ----------
    results : matches of the league's own file: the fixtures seldom name their season, so it follows from these.
    fetched_at : when this content was first fetched; the odds of upcoming matches were known at that time.
    """
    parsed = FileParse(SOURCE, file, known or load_aliases())
    read = _rows(content, file, parsed)
    order = _order(read, [], parsed)
    rows = [(row, cells) for row, cells in read if is_country_of(competition, cells.get("Country"))]
    parsed.other_rows = len(read) - len(rows)
    others = other_leagues(competition, (("", cells.get("League", "")) for _, cells in rows))
    for row, cells in rows:
        parsed.rows += 1
        if ("", cells.get("League", "")) in others:
            parsed.skip(row, f"{cells['League']} is another league than {competition}", cells)
            continue
        try:
            day = parse_day(cells.get("Date", ""), order)
            season = season_of_label(cells.get("Season", "")) or season_of_fixture(day, results)
            match = _match(cells, row, parsed, competition, season, order, fixtures=True)
        except BadRowError as error:
            parsed.reject(row, str(error), cells)
            continue
        if fetched_at is not None and not np.isnan(match["odds_home"]):
            match["odds_known_at"] = fetched_at
        parsed.accept(row, match, cells)
    return parsed.result(may_be_empty=True)  # none of the next days


def _rows(content: bytes, file: str, parsed: FileParse) -> list[tuple[int, dict[str, str]]]:
    """Read line number and named cells of each row of a match; rows that cannot be split are rejected."""
    tables, _ = unpack(file, content)
    if len(tables) > 1:
        raise SourceError(
            f"{file} is an archive of {len(tables)} tables, not one: {', '.join(t.file for t in tables[:5])}"
        )
    table = read_text_table(file, tables[0].data)
    header = [_OLD_NAMES.get(name, name) for name in table.header]
    if missing := [name for name in _NEEDED if name not in header]:
        raise SourceError(f"{file} has no column {', '.join(missing)}; it has {', '.join(header[:10])[:300]}")
    for broken in table.broken:
        parsed.rows += 1
        parsed.reject(broken.line, broken.reason, broken.text)
    rows = []
    for line, cells in table.rows:
        named = {name: cell for name, cell in zip(header, cells, strict=False) if name}
        if not any(named.get(name) for name in _NEEDED):
            parsed.fix(line, f"no date and no clubs, only {[cell for cell in cells if cell]}: row ignored", cells)
            continue
        if len(cells) > len(header):
            parsed.fix(line, "more cells than columns: extra cells ignored", cells)
        rows.append((line, named))
    return rows


def _order(rows: Sequence[tuple[int, dict[str, str]]], seasons: Sequence[str | None], parsed: FileParse) -> DayOrder:
    """Find the order of day and month; the site writes the day first, edited copies may not."""
    dates = [cells.get("Date", "") for _, cells in rows]

    def all_lie_in_season(order: DayOrder) -> bool:
        known = [(text, season) for text, season in zip(dates, seasons, strict=False) if season]
        return bool(known) and all(_is_in_season({"Date": text}, order, season, False) for text, season in known)

    order = day_order(Counter(dates), all_lie_in_season) or DayOrder.DAY_FIRST
    if order is DayOrder.MONTH_FIRST:
        parsed.fix_once("order", rows[0][0], "the dates of this file have the month first", rows[0][1])
    return order


def _is_in_season(cells: dict[str, str], order: DayOrder, season: str, default: bool | None = None) -> bool:
    """Whether a row belongs to a season: in summer, the fixtures file still has rows of the old season."""
    first, last = season_window(season)
    try:
        return first <= parse_day(cells.get("Date", ""), order) <= last
    except BadRowError:
        if default is None:
            raise
        return default


def _match(
    cells: dict[str, str],
    row: int,
    parsed: FileParse,
    competition: str,
    season: str,
    order: DayOrder,
    fixtures: bool,
) -> dict[str, Any]:
    if is_empty(cells.get("HomeTeam", "")) or is_empty(cells.get("AwayTeam", "")):
        raise BadRowError("a club is missing")
    day = _day(cells, order, season)
    moment, exact = kick_off(day, cells.get("Time", ""), TIMEZONE)
    home, away = (parsed.club(cells[side], competition, row) for side in ("HomeTeam", "AwayTeam"))
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
    }
    goals = _goals(cells)
    if goals is None and not fixtures:
        raise BadRowError("no score in a file of results")
    if reason := unread_clock(cells.get("Time", "")):
        parsed.fix(row, reason, cells)
    match |= _odds(cells, row, parsed)
    if goals is None:
        return match
    match["home_goals"], match["away_goals"] = goals
    match["status"] = Status.PLAYED.value
    result = "D" if goals[0] == goals[1] else "H" if goals[0] > goals[1] else "A"
    if cells.get("FTR", result).upper() not in (result, ""):
        parsed.fix(row, f"FTR is {cells['FTR']} but the score is {goals[0]}-{goals[1]}: score used", cells)
    return match | _shots(cells, row, parsed)


def _day(cells: dict[str, str], order: DayOrder, season: str) -> date:
    day = parse_day(cells.get("Date", ""), order)
    first, last = season_window(season)
    if not first <= day <= last:
        raise BadRowError(f"{day} is not in the season {season}")
    return day


def _goals(cells: dict[str, str]) -> tuple[int, int] | None:
    """Parse the score; None if there is none."""
    home, away = (cells.get(name, "") for name in ("FTHG", "FTAG"))
    if is_empty(home) and is_empty(away):
        return None
    return parse_count(home, "the score", MAX_GOALS), parse_count(away, "the score", MAX_GOALS)


def _shots(cells: dict[str, str], row: int, parsed: FileParse) -> dict[str, object]:
    texts = {name: cells.get(cell, "") for name, cell in _SHOTS.items()}
    try:
        counts = {name: parse_count(text, _SHOTS[name], 100) for name, text in texts.items() if not is_empty(text)}
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
        names = [f"{prefix}_{side}" for side in ("home", "draw", "away")]
        odds |= dict.fromkeys(names, np.nan)
        for pattern in candidates:
            texts = [cells.get(pattern.format(side), "") for side in "HDA"]
            if not any(texts):
                continue
            values, reason = parse_triple(texts, f"odds {pattern.format('*')} =")
            if reason:
                parsed.fix(row, reason, cells)
            if values is not None:
                odds |= dict(zip(names, values, strict=True))
                break
    return odds
