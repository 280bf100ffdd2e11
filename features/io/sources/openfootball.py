"""openfootball/football.json: results and fixtures, one JSON file for each league and season (CC0)."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

import pandas as pd

from features.errors import SourceError, UnknownTeamError
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.row_parsing import BadRowError, FileParse, kick_off, parse_count, parse_date, season_window
from features.io.sources.source_result import Defect
from features.matches import Status

SOURCE = "openfootball"
NEVER_PLAYED = ("cancelled", "abandoned")
LATE_ROUND, EARLY_ROUND = 10, 3
"""A match after round 10 cannot be played before the first three rounds."""


def address(base: str, league: str, season: str) -> str:
    """Return the URL of a league's season: `{base}/2023-24/en.1.json`."""
    return f"{base.rstrip('/')}/{season}/{league}.json"


def parse(
    content: bytes, file: str, competition: str, season: str, timezone: str, known: ClubAliases | None = None
) -> tuple[pd.DataFrame, list[Defect], int]:
    """Parse one file: matches, defects and the number of entries; `row` of a defect counts entries from 1.

    Raises
    ------
    SourceError
        If the file as a whole is unusable.
    """
    parsed = FileParse(SOURCE, file, known or load_aliases())
    entries = _entries(content, file)
    begin = _first_day(entries)
    for row, entry in enumerate(entries, start=1):
        parsed.rows += 1
        if entry.get("status") in NEVER_PLAYED:
            parsed.skip(row, f"the match was {entry['status']}", entry)
            continue
        try:
            match = _match(entry, row, parsed, competition, season, timezone, begin)
        except (BadRowError, UnknownTeamError) as error:
            parsed.reject(row, str(error), entry)
            continue
        parsed.accept(row, match, entry)
    return parsed.matches(), parsed.defects, parsed.rows


def _entries(content: bytes, file: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(content)
        entries = document["matches"]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{file} is not a JSON document with `matches`: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SourceError(f"{file}: `matches` is not a list of objects")
    return entries


def _round(entry: dict[str, Any]) -> int | None:
    number = re.search(r"\d+", str(entry.get("round", "")))
    return int(number[0]) if number else None


def _first_day(entries: list[dict[str, Any]]) -> str | None:
    """Return the earliest date of the early rounds."""
    days = [str(entry["date"]) for entry in entries if (_round(entry) or 99) <= EARLY_ROUND and entry.get("date")]
    return min(days, default=None)


def _match(
    entry: dict[str, Any], row: int, parsed: FileParse, competition: str, season: str, timezone: str, begin: str | None
) -> dict[str, object]:
    status, number = str(entry.get("status", "")), _round(entry)
    where = f"{parsed.file} row {row}"
    names = []
    for side in ("team1", "team2"):
        value = entry.get(side)
        name = value.get("name", "") if isinstance(value, dict) else value
        if not name:
            raise BadRowError("a club is missing")
        names.append(parsed.aliases.canonical(str(name), competition, where))
    if names[0] == names[1]:
        raise BadRowError(f"home and away club are both {names[0]}")
    day = _day(entry, row, parsed, season, number, begin)
    moment, exact = kick_off(day, str(entry.get("time", "")), timezone)
    score = _score(entry)
    played = score is not None and status != "postponed"
    home_goals, away_goals = score if score is not None and played else (None, None)
    state = Status.PLAYED if played else Status.POSTPONED if status == "postponed" else Status.SCHEDULED
    return {
        "competition": competition,
        "season": season,
        "matchday": number,
        "kick_off": moment,
        "kick_off_exact": exact,
        "home_team": names[0],
        "away_team": names[1],
        "neutral": False,
        "status": state.value,
        "awarded": status == "awarded",
        "home_goals": home_goals,
        "away_goals": away_goals,
        "source": SOURCE,
    }


def _day(
    entry: dict[str, Any], row: int, parsed: FileParse, season: str, number: int | None, begin: str | None
) -> date:
    """Parse the day of a match. A day that is a year too early is corrected, because the result would leak."""
    day = parse_date(str(entry.get("date", "")), ("%Y-%m-%d",))
    first, last = season_window(season)
    early = day < first or (
        begin is not None and number is not None and number > LATE_ROUND and day.isoformat() < begin
    )
    if early and "-" in season:
        later = day.replace(year=day.year + 1) if (day.month, day.day) != (2, 29) else day + timedelta(days=365)
        if first <= later <= last:
            parsed.fix(row, f"{day} is too early for round {number} of {season}: read as {later}", entry)
            day = later
    if not first <= day <= last:
        raise BadRowError(f"{day} is not in the season {season}")
    return day


def _score(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return the goals after 90 minutes; None without a score."""
    score = entry.get("score")
    final = score.get("ft") if isinstance(score, dict) else score
    if not final:
        return None
    if not isinstance(final, list) or len(final) != 2:
        raise BadRowError(f"the score {final!r} is not two numbers")
    return parse_count(str(final[0]), "the score"), parse_count(str(final[1]), "the score")
