"""Files of forecasts by anybody: probabilities for matches, one row each, as CSV or parquet. Bad rows are refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from features.errors import SourceError
from features.io.sources.calendar_day import DayOrder, day_order
from features.io.sources.cells import BadRowError, is_empty, quoted
from features.io.sources.decompression import unpack
from features.io.sources.kick_off_cell import day_text, parse_kick_off
from features.io.sources.parquet_table import read_parquet_table
from features.io.sources.text_table import read_text_table
from features.matches import OUTCOMES

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "home": ("phome", "probhome", "homeprob", "homeprobability", "probabilityhome", "prob1", "prdw", "homewin", "home"),
    "draw": ("pdraw", "probdraw", "drawprob", "drawprobability", "probabilitydraw", "probtie", "prdd", "draw"),
    "away": ("paway", "probaway", "awayprob", "awayprobability", "probabilityaway", "prob2", "prdl", "awaywin", "away"),
    "match_id": ("matchid",),
    "competition": ("competition", "league", "div", "division", "lge"),
    "season": ("season",),
    "day": ("kickoff", "date", "matchdate", "datetime", "utcdate"),
    "home_team": ("hometeam", "team1", "homename", "homeclub", "ht", "home"),
    "away_team": ("awayteam", "team2", "awayname", "awayclub", "at", "away"),
    "made_at": ("madeat", "publishedat", "forecastat", "predictedat"),
}
"""Names of the columns that are read, without case, blanks and signs; the first one that a file has is taken. A column
has one meaning: `home` is a probability, unless another column is."""

MIN_TOLERANCE = 1e-6
"""By how much the sum of probabilities may differ from 1 where rounding does not explain more."""

_NUMBER = re.compile(r"(?:\d+(?P<decimals>\.\d*)?|(?P<bare>\.\d+))(?P<exponent>e[+-]?\d{1,3})?", re.IGNORECASE)


class Refusal(NamedTuple):
    """Row that is not scored, and why."""

    file: str
    row: int
    reason: str

    def __str__(self) -> str:
        """Name file, row and reason."""
        return f"{self.file} row {self.row}: {self.reason}"


class ForecastRow(NamedTuple):
    """Forecast of one match as the file names it; what the file does not say is empty or None.

    Attributes
    ----------
    day : of the match.
    made_at : time of the forecast, in UTC; a date if only its day is known.
    probabilities : of home win, draw and away win; they sum to 1.
    """

    file: str
    row: int
    match_id: str
    competition: str
    season: str
    day: date | None
    home_team: str
    away_team: str
    made_at: datetime | date | None
    probabilities: tuple[float, float, float]


@dataclass
class ForecastFile:
    """Rows of a file that can be read, those that are refused, and whether it says when forecasts were made."""

    rows: list[ForecastRow] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    has_times: bool = False


def read_forecasts(file: str, data: bytes) -> ForecastFile:
    """Read the forecasts of a CSV or parquet file, also compressed.

    Raises
    ------
    SourceError
        If the file cannot be read, or lacks the columns of probabilities or of the match.
    """
    result, tables = ForecastFile(), unpack(file, data)[0]
    for name, content in tables:
        _read_table(name, content, result)
    return result


def _read_table(file: str, data: bytes, result: ForecastFile) -> None:
    if data[:4] == b"PAR1":
        table = read_parquet_table(file, data, lambda header: set(_columns(file, header).values()))
    else:
        table = read_text_table(file, data)
    columns = _columns(file, table.header)
    at = {name: table.header.index(column) for name, column in columns.items()}
    result.refused += [Refusal(file, broken.line, broken.reason) for broken in table.broken]
    result.has_times |= "made_at" in columns
    rows = []
    for line, cells in table.rows:
        if len(cells) > len(table.header):
            result.refused.append(Refusal(file, line, f"{len(cells)} cells in a table of {len(table.header)} columns"))
        else:
            rows.append((line, {name: cells[i] if i < len(cells) else "" for name, i in at.items()}))
    days = Counter(day_text(named[name]) for name in ("day", "made_at") if name in at for _, named in rows)
    order = day_order(days, lambda _: False) or DayOrder.DAY_FIRST
    for line, named in rows:
        try:
            result.rows.append(_row(file, line, named, order))
        except BadRowError as error:
            result.refused.append(Refusal(file, line, str(error)))


def _columns(file: str, header: Sequence[str]) -> dict[str, str]:
    """Find the column of each name; raises SourceError if one that is needed is missing."""
    by_plain: dict[str, str] = {}
    for column in header:
        by_plain.setdefault(re.sub(r"[^a-z0-9]", "", column.casefold()), column)
    found: dict[str, str] = {}
    for name, known in COLUMNS.items():
        free = [by_plain[plain] for plain in known if by_plain.get(plain, "") not in ("", *found.values())]
        if free:
            found[name] = free[0]
    if missing := [name for name in OUTCOMES if name not in found]:
        raise SourceError(f"{file} has no column of probabilities {', '.join(missing)}; it has {_listed(header)}")
    if "match_id" not in found and (missing := [name for name in ("home_team", "away_team") if name not in found]):
        raise SourceError(f"{file} has no column {' and '.join(missing)}, nor match_id; it has {_listed(header)}")
    return found


def _listed(header: Sequence[str]) -> str:
    return ", ".join(name[:40] for name in header if name)[:300]


def _row(file: str, line: int, cells: Mapping[str, str], order: DayOrder) -> ForecastRow:
    day = cells.get("day", "")
    return ForecastRow(
        file=file,
        row=line,
        match_id=cells.get("match_id", ""),
        competition=cells.get("competition", ""),
        season=cells.get("season", ""),
        day=None if is_empty(day) else parse_kick_off(day, order).day,
        home_team=cells.get("home_team", ""),
        away_team=cells.get("away_team", ""),
        made_at=_made_at(cells["made_at"], order) if "made_at" in cells else None,
        probabilities=probabilities([cells[name] for name in OUTCOMES]),
    )


def _made_at(cell: str, order: DayOrder) -> datetime | date:
    if is_empty(cell):
        raise BadRowError("the time of the forecast is empty")
    made = parse_kick_off(cell, order)
    if made.reason:
        raise BadRowError(f"the time of the forecast {quoted(cell)} is not readable")
    if made.clock is None:
        return made.day
    if made.clock.tzinfo is None:
        raise BadRowError(f"the time of the forecast {quoted(cell)} has no timezone; write for example {cell}+00:00")
    return datetime.combine(made.day, made.clock)


def probabilities(cells: Sequence[str]) -> tuple[float, float, float]:
    """Parse three probabilities; their sum may differ from 1 by what rounding of the written digits explains.

    Raises
    ------
    BadRowError
        If one is no number from 0 to 1, or the sum is not 1.
    """
    values, decimals = [], 0
    for name, cell in zip(OUTCOMES, cells, strict=True):
        text = cell.strip().replace(",", ".")
        number = _NUMBER.fullmatch(text) if len(text) <= 40 else None
        if number is None:
            raise BadRowError(f"the probability of {name} {quoted(cell)} is not a number from 0 to 1")
        digits = len((number["decimals"] or number["bare"] or ".")[1:])
        decimals = max(decimals, 17 if number["exponent"] else digits)
        values.append(float(text))
    total = sum(values)
    listed = ", ".join(cell.strip() for cell in cells)
    if 99 <= total <= 101:
        raise BadRowError(f"the probabilities {listed} sum to 100: write shares, such as 0.45")
    tolerance = max(MIN_TOLERANCE, 1.5 * 10.0**-decimals) if decimals >= 2 else MIN_TOLERANCE
    if abs(total - 1) > tolerance:
        raise BadRowError(f"the probabilities {listed} sum to {total:.4g}, not to 1")
    home, draw, away = (value / total for value in values)
    return home, draw, away
