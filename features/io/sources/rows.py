"""What the parsers of all sources share: typed cells, the window of a season, and the line between row and file."""

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
"""More goals of one side than any league match ever had: a mistyped cell."""
MAX_REJECTED_SHARE = 0.2
"""Share of refused rows from which a whole file is not trusted any more."""


class BadRowError(Exception):
    """A row cannot be used; the message says why."""


@dataclass
class FileParse:
    """One file while it is read: good rows, and the defects with their place."""

    source: str
    file: str
    aliases: ClubAliases = field(default_factory=load_aliases)
    good: list[dict[str, object]] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    rows: int = 0
    not_played: int = 0
    first_met: dict[tuple[object, ...], int] = field(default_factory=dict)

    def accept(self, row: int, match: dict[str, object], content: object) -> None:
        """Take a match in, unless the file had it before."""
        meeting = (match["home_team"], match["away_team"], match["kick_off"])
        first = self.first_met.setdefault(meeting, row)
        if first == row:
            self.good.append(match)
        else:
            self.reject(row, f"the same match as in row {first}", content)

    def reject(self, row: int, reason: str, content: object) -> None:
        """Quarantine a row."""
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500]))

    def skip(self, row: int, reason: str, content: object) -> None:
        """Note a match that was never played or is there already: the rest of the file can be trusted."""
        self.not_played += 1
        self.reject(row, reason, content)

    def fix(self, row: int, reason: str, content: object) -> None:
        """Note that a row was kept with something put right."""
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500], repaired=True))

    def is_trusted(self) -> bool:
        """Whether few enough rows were refused; of a handful any number may be."""
        return self.rows < 20 or len(self._rejected()) - self.not_played <= MAX_REJECTED_SHARE * self.rows

    def _rejected(self) -> list[tuple[int, str]]:
        return sorted({(defect.row, defect.reason) for defect in self.defects if not defect.repaired})

    def matches(self) -> pd.DataFrame:
        """The good rows as a matches table.

        Raises
        ------
        SourceError
            If there is no good row, or too many were refused for the file to be trusted.
        """
        if not self.good or not self.is_trusted():
            refused = self._rejected()
            first = f"; first: row {refused[0][0]}, {refused[0][1]}" if refused else ""
            raise SourceError(f"{self.file}: {len(refused)} of {self.rows} rows cannot be used{first}")
        return conform(with_match_ids(pd.DataFrame(self.good)))


def season_window(season: str) -> tuple[date, date]:
    """First and last day that a match of a season can have. 2019/20 ended in August, Brazil's 2020 in February."""
    start = int(season[:4])
    if "-" not in season:
        return date(start, 1, 1), date(start + 1, 3, 31)
    return date(start, 7, 1), date(start + 1, 8, 31)


def kick_off(day: date, clock: str, timezone: str) -> tuple[datetime, bool]:
    """Kick-off in UTC and whether the time of day is known; 15:00 stands in where it is not."""
    found = re.fullmatch(r"(\d{1,2})[:.](\d{2})", clock.strip())
    exact = bool(found) and int(found[1]) < 24 and int(found[2]) < 60 if found else False
    moment = time(int(found[1]), int(found[2])) if found and exact else DEFAULT_KICK_OFF
    local = datetime.combine(day, moment, ZoneInfo(timezone))
    return local.astimezone(ZoneInfo("UTC")), exact


def parse_date(text: str, formats: Sequence[str]) -> date:
    """The date in the first of the formats that fits."""
    for one in formats:
        try:
            return datetime.strptime(text.strip(), one).date()  # noqa: DTZ007 - a day has no timezone
        except ValueError:
            continue
    raise BadRowError(f"the date {text!r} is not readable")


def parse_count(text: str, what: str, most: int = MAX_GOALS) -> int:
    """A whole number from 0 to `most`."""
    try:
        value = float(text)
    except ValueError:
        raise BadRowError(f"{what} {text!r} is not a number") from None
    if value != int(value) or not 0 <= value <= most:
        raise BadRowError(f"{what} {text!r} is not a whole number from 0 to {most}")
    return int(value)


def parse_odds(text: str) -> float | None:
    """Decimal odds, or None where the cell holds something else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 1.0 < value < 2000 else None
