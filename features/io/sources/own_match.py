"""Matches from the rows of the user's files: typed cells, and what only whole files tell (order of dates, seasons)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import NamedTuple

from features.competitions import find
from features.errors import SourceError
from features.io.sources.calendar_day import DayOrder, day_order, is_ambiguous
from features.io.sources.cells import BadRowError, is_empty, parse_count, parse_flag, quoted
from features.io.sources.clock_time import kick_off, parse_clock, unread_clock
from features.io.sources.column_map import BY_AUTUMN, BY_YEAR, SETTING
from features.io.sources.kick_off_cell import KickOff, Moment, is_midnight, moment, parse_kick_off
from features.io.sources.odds_triple import parse_triple
from features.io.sources.own_table import Cells, OwnTable, zone_named
from features.io.sources.row_parsing import FileParse
from features.io.sources.season_label import autumn_season, autumn_starts, lies_in, name_split_seasons, parse_season
from features.matches import RESULT_COLUMNS, Status

_COUNTS = tuple(name for name in RESULT_COLUMNS if not name.startswith("closing"))
_GOALS = ("home_goals", "away_goals")
_SIDES = ("home", "draw", "away")
_CALENDAR_YEARS = ("bra", "chn", "fin", "irl", "nor", "swe", "usa")
_CALENDARS_CHANGED = ("arg", "jpn", "rus")
_FOOTBALL_DATA_ZONE = "Europe/London"
"""All times in the layouts of football-data.co.uk are British."""


class Draft(NamedTuple):
    """Row whose day is known; its season is empty if it follows from the days of all rows."""

    line: int
    cells: Cells
    season: str
    kick_off: KickOff


class Entry(NamedTuple):
    """Match and the row that it comes from."""

    match: dict[str, object]
    parsed: FileParse
    draft: Draft

    @property
    def where(self) -> str:
        """File and row in words."""
        return f"{self.parsed.file} row {self.draft.line}"

    @property
    def score(self) -> str:
        """Score in words; empty for a fixture."""
        return f"{self.match['home_goals']}-{self.match['away_goals']}" if "home_goals" in self.match else ""


@dataclass
class Reading:
    """How one table is read: what its rows have in common."""

    table: OwnTable
    parsed: FileParse
    order: DayOrder
    zone: tzinfo | None
    drafts: list[Draft] = field(default_factory=list)
    has_days_only: bool = False


def read_matches(
    competition: str, tables: Sequence[OwnTable], parses: Sequence[FileParse], unusable: list[str]
) -> list[str]:
    """Fill `parses` with the matches and defects of the tables; returns sentences about the files.

    A table that has no scores although all its matches are past, no seasons, or too many bad rows is left out, and the
    reason is added to `unusable`.

    Raises
    ------
    SourceError
        If all tables with rows are left out.
    """
    notes: list[str] = []
    readings = []
    reasons: list[str] = []
    for table, parsed in zip(tables, parses, strict=True):
        try:
            readings.append(_read(table, parsed, competition, notes))
        except SourceError as error:
            reasons.append(str(error))
            parsed.leave_out()
    drafts = [draft for reading in readings for draft in reading.drafts]
    split = name_split_seasons(((d.season, d.kick_off.day) for d in drafts if d.season), _is_split(competition))
    notes += [f"season {name} is read as {full}, as its dates show" for name, full in split.items()]
    starts = autumn_starts({draft.kick_off.day for draft in drafts if draft.season == BY_AUTUMN})
    entries: dict[tuple[object, ...], Entry] = {}
    for reading in readings:
        for draft in reading.drafts:
            day, season = draft.kick_off.day, draft.season
            derived = autumn_season(day, starts) if season == BY_AUTUMN else str(day.year)
            named = derived if season in (BY_AUTUMN, BY_YEAR) else split.get(season, season)
            _accept(reading, draft._replace(season=named), competition, entries)
        if not reading.table.rows:  # a file of other competitions; its broken rows are rejected
            continue
        try:
            reading.parsed.check()
        except SourceError as error:
            reasons.append(str(error))
            reading.parsed.leave_out()
    if reasons and not any(parsed.good for parsed in parses):
        raise SourceError(reasons[0])
    unusable += reasons
    return notes


def _read(table: OwnTable, parsed: FileParse, competition: str, notes: list[str]) -> Reading:
    _check_season_column(table, competition)
    reading = Reading(table, parsed, _order(table, notes), _zone(table, competition))
    _draft(reading, competition)
    _check_score_columns(reading)
    return reading


def _is_split(competition: str) -> bool | None:
    """Whether seasons last from autumn to spring; None if that is unknown, or has changed."""
    league = find(competition)
    if league is None or league.country in _CALENDARS_CHANGED:
        return None
    return league.country not in _CALENDAR_YEARS


def _check_season_column(table: OwnTable, competition: str) -> None:
    if "season" not in table.column_map and _is_split(competition) is None and table.rows:
        raise SourceError(
            f"{table.file} has no column season; it has {', '.join(table.header)[:300]}. Name it in {SETTING}, or "
            f'write {{"season": "=2024-25"}}, or {{"season": "={BY_YEAR}"}} or {{"season": "={BY_AUTUMN}"}} to '
            "take it from the date"
        )


def _season_rule(table: OwnTable, competition: str) -> str:
    """Return how seasons follow from dates if the file has no seasons and the league is known."""
    if "season" in table.column_map:
        return ""
    return BY_AUTUMN if _is_split(competition) else BY_YEAR


def _order(table: OwnTable, notes: list[str]) -> DayOrder:

    def all_lie_in_season(order: DayOrder) -> bool:
        try:
            return all(_lies_in_season(cells, order) for _, cells in table.rows)
        except BadRowError:
            return False

    order = day_order(table.days, all_lie_in_season)
    if order is DayOrder.MONTH_FIRST:
        notes.append(f"{table.file}: its dates have the month first")
    elif order is None and (either := next((text for text in table.days if is_ambiguous(text)), None)):
        notes.append(f"{table.file}: dates such as {either} are read day first; nothing in the file tells the order")
    elif order is DayOrder.UNKNOWN:
        notes.append(f"{table.file}: some dates have the day first and some the month: write them as 2025-08-16")
    return order or DayOrder.DAY_FIRST


def _lies_in_season(cells: Cells, order: DayOrder) -> bool:
    season = cells.get("season", "")
    is_named = season not in ("", BY_YEAR, BY_AUTUMN)
    return is_named and lies_in(parse_kick_off(cells["kick_off"], order).day, parse_season(season))


def _zone(table: OwnTable, competition: str) -> tzinfo | None:
    """Return the zone of times without one: of the file's layout, or of the league."""
    columns = table.column_map.columns
    if columns.get("time") == "Time" and columns.get("home_goals") in ("FTHG", "HG"):
        return zone_named(_FOOTBALL_DATA_ZONE)
    league = find(competition)
    return zone_named(league.timezone) if league else None


def _draft(reading: Reading, competition: str) -> None:
    """Parse day, time and season of each row."""
    parsed, rule = reading.parsed, _season_rule(reading.table, competition)
    for line, cells in reading.table.rows:
        parsed.rows += 1
        try:
            season = rule or cells["season"]
            season = season if season in (BY_YEAR, BY_AUTUMN) else parse_season(season)
            reading.drafts.append(Draft(line, cells, season, _kick_off(cells, reading.order)))
        except BadRowError as error:
            parsed.reject(line, str(error), cells)
    clocks = [draft.kick_off.clock for draft in reading.drafts if draft.kick_off.clock]
    reading.has_days_only = "time" not in reading.table.column_map and all(map(is_midnight, clocks))


def _kick_off(cells: Cells, order: DayOrder) -> KickOff:
    """Parse the kick-off; a column `time` fills in what the other cell does not know."""
    if is_empty(cells["kick_off"]):
        raise BadRowError("kick_off is empty")
    kick = parse_kick_off(cells["kick_off"], order)
    clock = cells.get("time", "")
    if is_empty(clock) or (kick.clock is not None and not is_midnight(kick.clock)):
        return kick
    return KickOff(kick.day, parse_clock(clock), unread_clock(clock) or "")


def _check_score_columns(reading: Reading) -> None:
    """Check that the scores have columns: otherwise every match of the past would count as one to come."""
    table = reading.table
    missing = [name for name in _GOALS if name not in table.column_map]
    last = max((draft.kick_off.day for draft in reading.drafts), default=None)
    if last is None or not missing or (len(missing) == 2 and last >= table.seen_at.date()):
        return
    raise SourceError(
        f"{table.file} has no column {', '.join(missing)} although its matches are past; it has "
        f'{", ".join(table.header)[:300]}. Name them in {SETTING}=\'{{"home_goals": "...", "away_goals": "..."}}\''
    )


def _accept(reading: Reading, draft: Draft, competition: str, entries: dict[tuple[object, ...], Entry]) -> None:
    parsed = reading.parsed
    try:
        match = _match(reading, draft, competition)
    except BadRowError as error:
        parsed.reject(draft.line, str(error), draft.cells)
        return
    key = (match["season"], match["home_team"], match["away_team"], match["kick_off"])
    entry = Entry({**match, "row": draft.line}, parsed, draft)
    if key in entries:
        _repeat(entries, key, entry)
    else:
        entries[key] = entry
        parsed.good.append(entry.match)


def _repeat(entries: dict[tuple[object, ...], Entry], key: tuple[object, ...], entry: Entry) -> None:
    """Of two rows of one match, a result replaces a fixture; otherwise the first stays, the second fills its gaps."""
    first = entries[key]
    if "home_goals" in entry.match and "home_goals" not in first.match:
        first.parsed.good.remove(first.match)
        first.parsed.skip(first.draft.line, f"the result is in {entry.where}", first.draft.cells)
        entries[key] = entry
        entry.parsed.good.append(entry.match)
        return
    if entry.score not in ("", first.score):
        reason = f"{entry.score} contradicts {first.score} of {first.where}"
        entry.parsed.reject(entry.draft.line, reason, entry.draft.cells)
        return
    entry.parsed.skip(entry.draft.line, f"duplicate of {first.where}", entry.draft.cells)
    for name, value in entry.match.items():
        first.match.setdefault(name, value)


def _match(reading: Reading, draft: Draft, competition: str) -> dict[str, object]:
    cells, parsed, season = draft.cells, reading.parsed, draft.season
    if not lies_in(draft.kick_off.day, season):
        raise BadRowError(f"{draft.kick_off.day} is not in the season {season}")
    home, away = _clubs(draft, parsed, competition)
    counts = _counts(cells)
    played = "home_goals" in counts
    flags = {name: parse_flag(cells.get(name, ""), name) for name in ("neutral", "awarded")}
    zone = _own_zone(cells) or reading.zone
    at, exact = _moment(reading, draft, zone)
    odds = _odds(cells, parsed, draft.line)
    known_at = cells.get("odds_known_at", "")
    if odds:  # for a played match the time is unknown, but it was before kick-off
        odds["odds_known_at"] = at if played else reading.table.seen_at
        if not is_empty(known_at):
            odds["odds_known_at"] = _odds_known_at(known_at, zone, reading.order)
    return {
        "competition": competition,
        "season": season,
        "kick_off": at,
        "kick_off_exact": exact,
        "home_team": home,
        "away_team": away,
        **flags,
        "status": (Status.PLAYED if played else Status.SCHEDULED).value,
        "source": parsed.source,
        **counts,
        **odds,
    }


def _clubs(draft: Draft, parsed: FileParse, competition: str) -> tuple[str, str]:
    names = draft.cells["home_team"], draft.cells["away_team"]
    if any(map(is_empty, names)):
        raise BadRowError(f"home_team and away_team must be two clubs, not {quoted(names[0])} and {quoted(names[1])}")
    home, away = (parsed.club(name, competition, draft.line) for name in names)
    if home == away:
        raise BadRowError(f"home_team and away_team must be two clubs, not {quoted(home)} and {quoted(away)}")
    return home, away


def _counts(cells: Cells) -> dict[str, int]:
    """Parse goals and shots; both goals are there, or neither."""
    counts = {name: cells.get(name, "") for name in _COUNTS}
    if is_empty(counts["home_goals"]) != is_empty(counts["away_goals"]):
        goals = " and ".join(quoted(counts[name]) for name in _GOALS)
        raise BadRowError(f"only one side has goals: {goals}")
    return {
        name: parse_count(text, name, *(() if name in _GOALS else (100,)))
        for name, text in counts.items()
        if not is_empty(text)
    }


def _own_zone(cells: Cells) -> tzinfo | None:
    name = cells.get("timezone", "")
    if is_empty(name):
        return None
    if (zone := zone_named(name)) is None:
        raise BadRowError(f"timezone {quoted(name)} is not a time zone such as Europe/London")
    return zone


def _moment(reading: Reading, draft: Draft, zone: tzinfo | None) -> Moment:
    """Return the kick-off; only its day if the time has no zone, or if midnight stands for a missing time."""
    kick, parsed = draft.kick_off, reading.parsed
    if kick.reason:
        parsed.fix(draft.line, kick.reason, draft.cells)
    is_date = kick.clock is not None and is_midnight(kick.clock) and kick.clock.tzinfo is None
    is_date &= is_empty(draft.cells.get("time", ""))
    found = moment(KickOff(kick.day) if reading.has_days_only or is_date else kick, zone)
    if found is not None:
        return found
    parsed.fix_once(
        "zone",
        draft.line,
        f"kick_off {quoted(draft.cells['kick_off'])} has no timezone: here and below only the day is known; "
        f'write for example {{"timezone": "=Europe/London"}} in {SETTING}',
        draft.cells,
    )
    return Moment(*kick_off(kick.day, "", "UTC"))


def _odds_known_at(text: str, zone: tzinfo | None, order: DayOrder) -> datetime:
    found = parse_kick_off(text, order)
    if found.clock is None:
        raise BadRowError(f"odds_known_at {quoted(text)} is not a timestamp such as 2025-08-16T14:00+00:00")
    known = moment(found, zone)
    if known is None:
        raise BadRowError(f"odds_known_at {quoted(text)} has no timezone; write for example {text}+00:00")
    return known.at


def _odds(cells: Cells, parsed: FileParse, line: int) -> dict[str, object]:
    odds: dict[str, object] = {}
    for prefix in ("odds", "closing"):
        names = [f"{prefix}_{side}" for side in _SIDES]
        if not any(cells.get(name) for name in names):
            continue
        values, reason = parse_triple([cells.get(name, "") for name in names], prefix)
        if missing := [name for name in names if name not in cells and any(other in cells for other in names)]:
            parsed.fix_once(prefix, line, f"{prefix}: no column {', '.join(missing)}: odds ignored", cells)
        elif reason:
            parsed.fix(line, reason, cells)
        if values:
            odds |= dict(zip(names, values, strict=True))
    return odds
