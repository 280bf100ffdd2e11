"""Accepted and rejected rows of a file, the same for all parsers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from features.errors import SourceError, UnknownTeamError
from features.io.sources.cells import BadRowError
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.source_result import Defect
from features.matches import conform, with_match_ids

MAX_REJECTED_SHARE = 0.2
"""Share of rejected rows above which the whole file is rejected."""


class ParsedFile(NamedTuple):
    """Matches and defects of one file, its number of rows, and how many more are of other competitions or seasons."""

    matches: pd.DataFrame
    defects: list[Defect]
    rows: int
    other_rows: int = 0


@dataclass
class FileParse:
    """Accepted rows and defects of one file."""

    source: str
    file: str
    aliases: ClubAliases = field(default_factory=load_aliases)
    good: list[dict[str, object]] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    rows: int = 0
    other_rows: int = 0
    not_played: int = 0
    first_met: dict[tuple[object, ...], int] = field(default_factory=dict)
    clubs: dict[str, str] = field(default_factory=dict)
    unknown_clubs: dict[str, str] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)

    def club(self, name: str, competition: str, row: int) -> str:
        """Return the canonical name of a club, which is looked up once.

        Raises
        ------
        BadRowError
            If the name is unknown.
        """
        if name in self.clubs:
            return self.clubs[name]
        where = f"{self.file} row {row}"
        if name not in self.unknown_clubs:
            try:
                self.clubs[name] = self.aliases.canonical(name, competition, where)
                return self.clubs[name]
            except UnknownTeamError as error:
                self.unknown_clubs[name] = str(error).replace(where, "\0")
        raise BadRowError(self.unknown_clubs[name].replace("\0", where))

    def accept(self, row: int, match: dict[str, object], content: object) -> None:
        """Accept a match; reject it if the file contains it already."""
        meeting = (match["home_team"], match["away_team"], match["kick_off"])
        first = self.first_met.setdefault(meeting, row)
        if first == row:
            self.good.append({**match, "row": row})
        else:
            self.reject(row, f"duplicate of row {first}", content)

    def reject(self, row: int, reason: str, content: object) -> None:
        """Quarantine a row."""
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500]))

    def skip(self, row: int, reason: str, content: object) -> None:
        """Quarantine a row that is not an error, such as a match that was never played."""
        self.not_played += 1
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500], skipped=True))

    def fix(self, row: int, reason: str, content: object) -> None:
        """Record that a row was accepted after a correction."""
        self.defects.append(Defect(self.source, self.file, row, reason, str(content)[:500], repaired=True))

    def fix_once(self, kind: str, row: int, reason: str, content: object) -> None:
        """Record a correction that concerns a whole file, at the first row of its kind only."""
        if kind not in self.noted:
            self.noted.add(kind)
            self.fix(row, reason, content)

    def is_trusted(self) -> bool:
        """Whether at most `MAX_REJECTED_SHARE` of the rows have errors; fewer than 20 rows are always trusted."""
        return self.rows < 20 or len(self._rejected()) - self.not_played <= MAX_REJECTED_SHARE * self.rows

    def _rejected(self) -> list[tuple[int, str]]:
        return sorted({(defect.row, defect.reason) for defect in self.defects if not defect.repaired})

    def check(self) -> None:
        """Check that the file can be used, if it has rows of the competition that are not duplicates.

        Raises
        ------
        SourceError
            If none of these rows is accepted, or too many are rejected.
        """
        if self.rows > self.not_played and not (self.good and self.is_trusted()):
            raise self._error()

    def leave_out(self) -> None:
        """Drop all rows of a file that cannot be used: its reason stands for them."""
        self.good.clear()
        self.defects.clear()
        self.rows = self.not_played = 0

    def _error(self) -> SourceError:
        rejected = self._rejected()
        first = f"; first: row {rejected[0][0]}, {rejected[0][1]}" if rejected else ""
        return SourceError(f"{self.file}: {len(rejected)} of {self.rows} rows rejected{first}")

    def result(self, may_be_empty: bool = False) -> ParsedFile:
        """Return the accepted rows and the account of all rows.

        Raises
        ------
        SourceError
            As `matches` does, but not for a file without matches if it `may_be_empty`.
        """
        is_empty = may_be_empty and not self.good and self.is_trusted()
        matches = pd.DataFrame() if is_empty else self.matches()
        return ParsedFile(matches, self.defects, self.rows, self.other_rows)

    def matches(self) -> pd.DataFrame:
        """Return the accepted rows as a matches table; `with_listings` adds the file and row of each.

        Raises
        ------
        SourceError
            If no row is accepted, or too many are rejected.
        """
        if not self.rows:
            raise SourceError(f"{self.file} holds no match yet")
        if not self.good or not self.is_trusted():
            raise self._error()
        ordered = with_match_ids(pd.DataFrame(self.good))
        table = conform(ordered)
        table.attrs[_LISTINGS] = (self.file, ordered["row"].tolist() if "row" in ordered else 0)
        return table


_LISTINGS = "listings"


def with_listings(table: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `file` and `row` to the table of one `FileParse`."""
    file, rows = table.attrs.get(_LISTINGS, ("", 0))
    located = table.assign(file=file, row=rows)
    located.attrs.clear()
    return located
