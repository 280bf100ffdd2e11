"""Common parts of all parsers: typed cells, dates of a season, accepted and rejected rows of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pandas as pd

from features.errors import SourceError
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.source_result import Defect
from features.matches import conform, with_match_ids

DEFAULT_KICK_OFF = time(15)
MAX_GOALS = 30
"""More goals than any side ever scored in a league match: a higher number is a typing error."""
MAX_REJECTED_SHARE = 0.2
"""Share of rejected rows above which the whole file is rejected."""


class BadRowError(Exception):
    """A row cannot be used; the message says why."""


@dataclass
class FileParse:
    """Accepted rows and defects of one file."""

    source: str
    file: str
    aliases: ClubAliases = field(default_factory=load_aliases)
    good: list[dict[str, object]] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    rows: int = 0
    not_played: int = 0
    first_met: dict[tuple[object, ...], int] = field(default_factory=dict)

    def accept(self, row: int, match: dict[str, object], content: object) -> None:
        """Accept a match; reject it if the file contains it already."""
        meeting = (match["home_team"], match["away_team"], match["kick_off"])
        first = self.first_met.setdefault(meeting, row)
        if first == row:
            self.good.append(match)
        else:
            self.reject(row, f"duplicate of row {first}", content)

    def reject(self, row: int, reason: str, content: object) -> None:
        """Quarantine a row."""
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500]))

    def skip(self, row: int, reason: str, content: object) -> None:
        """Quarantine a row that is not an error, such as a match that was never played."""
        self.not_played += 1
        self.reject(row, reason, content)

    def fix(self, row: int, reason: str, content: object) -> None:
        """Record that a row was accepted after a correction."""
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500], repaired=True))

    def is_trusted(self) -> bool:
        """Whether at most `MAX_REJECTED_SHARE` of the rows have errors; fewer than 20 rows are always trusted."""
        return self.rows < 20 or len(self._rejected()) - self.not_played <= MAX_REJECTED_SHARE * self.rows

    def _rejected(self) -> list[tuple[int, str]]:
        return sorted({(defect.row, defect.reason) for defect in self.defects if not defect.repaired})

    def matches(self) -> pd.DataFrame:
        """Return the accepted rows as a matches table.

        Raises
        ------
        SourceError
            If no row is accepted, or too many are rejected.
        """
        if not self.good or not self.is_trusted():
            rejected = self._rejected()
            first = f"; first: row {rejected[0][0]}, {rejected[0][1]}" if rejected else ""
            raise SourceError(f"{self.file}: {len(rejected)} of {self.rows} rows rejected{first}")
        return conform(with_match_ids(pd.DataFrame(self.good)))


def season_window(season: str) -> tuple[date, date]:
    """Return the first and last possible day of a season: 2019/20 ended in August, Brazil's 2020 in February."""
    start = int(season[:4])
    if "-" not in season:
        return date(start, 1, 1), date(start + 1, 3, 31)
    return date(start, 7, 1), date(start + 1, 8, 31)


def kick_off(day: date, clock: str, timezone: str) -> tuple[datetime, bool]:
    """Return the kick-off in UTC, and whether the time of day is known. An unknown time becomes 15:00."""
    parts = re.fullmatch(r"(\d{1,2})[:.](\d{2})", clock.strip())
    exact = bool(parts) and int(parts[1]) < 24 and int(parts[2]) < 60 if parts else False
    moment = time(int(parts[1]), int(parts[2])) if parts and exact else DEFAULT_KICK_OFF
    local = datetime.combine(day, moment, ZoneInfo(timezone))
    return local.astimezone(ZoneInfo("UTC")), exact


def parse_date(text: str, formats: Sequence[str]) -> date:
    """Parse a date by the first format that fits."""
    for pattern in formats:
        try:
            return datetime.strptime(text.strip(), pattern).date()  # noqa: DTZ007 - a day has no timezone
        except ValueError:
            continue
    raise BadRowError(f"date {text!r} is not in a known format")


def parse_count(text: str, what: str, most: int = MAX_GOALS) -> int:
    """Parse a whole number from 0 to `most`."""
    try:
        value = float(text)
    except ValueError:
        raise BadRowError(f"{what} {text!r} is not a number") from None
    if value != int(value) or not 0 <= value <= most:
        raise BadRowError(f"{what} {text!r} is not a whole number from 0 to {most}")
    return int(value)


def parse_odds(text: str) -> float | None:
    """Parse decimal odds; None if the cell contains something else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 1.0 < value < 2000 else None
