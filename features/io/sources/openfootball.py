"""openfootball/football.json: results and fixtures, one JSON file for each league and season (CC0)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from features.errors import UnknownTeamError
from features.io.sources.calendar_day import parse_day
from features.io.sources.cells import BadRowError
from features.io.sources.clock_time import kick_off
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.match_status import Standing, standing_of
from features.io.sources.openfootball_document import RepeatedKeys, entries_of
from features.io.sources.openfootball_score import score_of
from features.io.sources.row_parsing import FileParse, ParsedFile
from features.matches import Status
from features.seasons import season_window

SOURCE = "openfootball"
LATE_ROUND, EARLY_ROUND = 10, 3
"""A match after round 10 cannot be played before the first three rounds."""
MOST_ROUNDS = 99
"""No league has more; a higher number is something else, such as a year."""
_NO_DAY = ("", "null", "none", "tbd", "tba", "?", "-")


def address(base: str, league: str, season: str) -> str:
    """Return the URL of a league's season: `{base}/2023-24/en.1.json`."""
    return f"{base.rstrip('/')}/{season}/{league}.json"


def parse(
    content: bytes, file: str, competition: str, season: str, timezone: str, known: ClubAliases | None = None
) -> ParsedFile:
    """Parse one file: matches, defects and the number of entries; `row` of a defect counts entries from 1.

    Raises
    ------
    SourceError
        If the file as a whole is unusable.
    """
    parsed = FileParse(SOURCE, file, known or load_aliases())
    entries = entries_of(content, file)
    begin = _first_day([entry for entry in entries if isinstance(entry, dict)])
    single_final = sum(_is_final(entry) for entry in entries) == 1  # a final of two legs is played at home and away
    for row, entry in enumerate(entries, start=1):
        parsed.rows += 1
        try:
            if reason := _reason_to_skip(entry):
                parsed.skip(row, reason, entry)
                continue
            match = _match(entry, row, parsed, competition, season, timezone, begin)
        except (BadRowError, UnknownTeamError) as error:
            parsed.reject(row, str(error), entry)
            continue
        parsed.accept(row, match | {"neutral": single_final and _is_final(entry)}, entry)
    return parsed.result()


def _reason_to_skip(entry: object) -> str:
    """Return why a match is left out although its entry has no error; empty if it is not."""
    if not isinstance(entry, dict):
        raise BadRowError("the entry is not an object")
    for part in (entry, entry.get("score")):
        if isinstance(part, RepeatedKeys):
            raise BadRowError(f"{', '.join(map(repr, part.repeated))} stands twice with different values")
    if standing_of(entry.get("status")) is Standing.VOID:
        return f"the match was {entry['status'].casefold()}"
    if str(entry.get("date") or "").strip().casefold() in _NO_DAY:
        if score_of(entry) is not None:
            raise BadRowError("the match has a score but no day")
        return "the match has no day yet"
    return ""


def _is_final(entry: object) -> bool:
    return isinstance(entry, dict) and str(entry.get("round")).strip().casefold() == "final"


def _round(entry: Mapping[str, Any]) -> int | None:
    number = re.search(r"\d+", str(entry.get("round", "")))
    return int(number[0]) if number and len(number[0]) <= len(str(MOST_ROUNDS)) else None


def _first_day(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the earliest date of the early rounds."""
    days = [str(entry.get("date")) for entry in entries if (_round(entry) or MOST_ROUNDS) <= EARLY_ROUND]
    return min((day for day in days if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day)), default=None)


def _club(entry: Mapping[str, Any], side: str, parsed: FileParse, competition: str, where: str) -> str:
    value = entry.get(side)
    name = value.get("name") if isinstance(value, dict) else value
    if not name:
        raise BadRowError("a club is missing")
    if not isinstance(name, str) or not name.isprintable():
        raise BadRowError(f"{side} {str(name)[:40]!r} is not a club's name")
    return parsed.aliases.canonical(name, competition, where)


def _match(
    entry: Mapping[str, Any],
    row: int,
    parsed: FileParse,
    competition: str,
    season: str,
    timezone: str,
    begin: str | None,
) -> dict[str, object]:
    standing, number = standing_of(entry.get("status")), _round(entry)
    where = f"{parsed.file} row {row}"
    names = [_club(entry, side, parsed, competition, where) for side in ("team1", "team2")]
    if names[0] == names[1]:
        raise BadRowError(f"home and away club are both {names[0]}")
    day = _day(entry, row, parsed, season, number, begin)
    clock = str(entry.get("time") or "").strip()
    moment, exact = kick_off(day, clock, timezone)
    if clock and not exact:
        parsed.fix(row, f"the time {clock[:40]!r} is not readable: only the day is used", entry)
    score = score_of(entry)
    if standing is Standing.AWARDED and score is None:
        raise BadRowError("the match was awarded, but there is no score")
    if standing in (Standing.UNFINISHED, Standing.POSTPONED) and score is not None:
        parsed.fix(row, f"the match is {entry['status']}, so the score {score[0]}-{score[1]} is ignored", entry)
        score = None
    home_goals, away_goals = score or (None, None)
    state = Status.PLAYED if score else Status.POSTPONED if standing is Standing.POSTPONED else Status.SCHEDULED
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
        "awarded": standing is Standing.AWARDED,
        "home_goals": home_goals,
        "away_goals": away_goals,
        "source": SOURCE,
    }


def _day(
    entry: Mapping[str, Any], row: int, parsed: FileParse, season: str, number: int | None, begin: str | None
) -> date:
    """Parse the day of a match. A day that is a year too early is corrected, because the result would leak."""
    day = parse_day(str(entry.get("date", "")))
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
