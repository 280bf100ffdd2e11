"""All matches by kick-off, and by what they are asked for: a list is found without looking at every match."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from serving.errors import BadField


class MatchRow(NamedTuple):
    """A match as the lake has it, small enough to keep all of them."""

    kick_off: datetime
    match_id: str
    competition: str
    season: str
    matchday: int | None
    home_team: str
    away_team: str
    neutral: bool
    status: str
    home_goals: int | None
    away_goals: int | None


class Listing:
    """Made once from the matches, never changed."""

    def __init__(self, rows: Iterable[MatchRow] = ()) -> None:
        self.rows = tuple(sorted(rows))
        self.club_names: dict[str, str] = {}
        """Clubs as they are called, by their names in lower case."""
        self.seasons: dict[str, dict[str, int]] = {}
        """Matches by competition and season."""
        self._having: dict[tuple[str, str], list[MatchRow]] = {}
        for row in self.rows:
            for name in (row.home_team, row.away_team):
                self.club_names[name.casefold()] = name
            counts = self.seasons.setdefault(row.competition, {})
            counts[row.season] = counts.get(row.season, 0) + 1
            for key in (
                ("competition", row.competition),
                ("season", row.season),
                ("status", row.status),
                ("team", row.home_team),
                ("team", row.away_team),
            ):
                self._having.setdefault(key, []).append(row)

    def page(
        self,
        wanted: Mapping[str, str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
        cursor: str | None,
        newest_first: bool,
    ) -> tuple[list[MatchRow], str | None]:
        """Up to `limit` matches by kick-off that have all values in `wanted` (competition, season, status, team).

        Beside them the cursor of the next page.
        """
        rows: Sequence[MatchRow] = min(
            (self._having.get(one, ()) for one in wanted.items()), key=len, default=self.rows
        )
        low = bisect_left(rows, since, key=lambda row: row.kick_off) if since else 0
        high = bisect_right(rows, until, key=lambda row: row.kick_off) if until else len(rows)
        if cursor is not None:
            place = _read_cursor(cursor)
            if newest_first:
                high = min(high, bisect_left(rows, place, key=lambda row: row[:2]))
            else:
                low = max(low, bisect_right(rows, place, key=lambda row: row[:2]))
        found: list[MatchRow] = []
        for at in range(high - 1, low - 1, -1) if newest_first else range(low, high):
            if _has(rows[at], wanted):
                if len(found) == limit:
                    return found, _write_cursor(found[-1])
                found.append(rows[at])
        return found, None


def _has(row: MatchRow, wanted: Mapping[str, str]) -> bool:
    for key, value in wanted.items():
        if key == "team":
            if value not in (row.home_team, row.away_team):
                return False
        elif getattr(row, key) != value:
            return False
    return True


def _write_cursor(row: MatchRow) -> str:
    return base64.urlsafe_b64encode(f"{row.kick_off.isoformat()} {row.match_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        moment, match_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ", 1)
        kick_off = datetime.fromisoformat(moment)
    except (ValueError, binascii.Error) as error:
        raise BadField("the cursor is not one that this service gave", "cursor") from error
    if kick_off.tzinfo is None:
        raise BadField("the cursor is not one that this service gave", "cursor")
    return kick_off, match_id
