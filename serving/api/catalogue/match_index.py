"""Index of all matches by kick-off and by the filters of `GET /matches`, so that a page never scans every match."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from features.slugs import club_slugs
from serving.errors import InvalidFieldError


class MatchRow(NamedTuple):
    """One match of the lake; tuples sort by kick-off and are small enough to keep all matches in memory."""

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
    kick_off_exact: bool = True
    """False if only the day is known; the time of `kick_off` is then a placeholder."""


class MatchIndex:
    """Immutable index over matches."""

    def __init__(self, rows: Iterable[MatchRow] = ()) -> None:
        self.rows = tuple(sorted(rows))
        self.club_names: dict[str, None] = {}
        """Names of all clubs, in the order of their first matches."""
        self.seasons: dict[str, dict[str, int]] = {}
        """Number of matches by competition and season."""
        self._slugs: dict[str, Mapping[str, str]] = {}
        self._rows_by_value: dict[tuple[str, str], list[MatchRow]] = {}
        for row in self.rows:
            self.club_names[row.home_team] = self.club_names[row.away_team] = None
            counts = self.seasons.setdefault(row.competition, {})
            counts[row.season] = counts.get(row.season, 0) + 1
            for key in (
                ("competition", row.competition),
                ("season", row.season),
                ("status", row.status),
                ("team", row.home_team),
                ("team", row.away_team),
            ):
                self._rows_by_value.setdefault(key, []).append(row)

    def page(
        self,
        filters: Mapping[str, str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
        cursor: str | None,
        newest_first: bool,
    ) -> tuple[list[MatchRow], str | None]:
        """Return up to `limit` matches by kick-off, and the cursor of the next page.

        `filters` maps competition, season, status and team to the value that a match must have.
        """
        candidates = self.candidates(filters)
        low = bisect_left(candidates, since, key=lambda row: row.kick_off) if since else 0
        high = bisect_right(candidates, until, key=lambda row: row.kick_off) if until else len(candidates)
        if cursor is not None:
            position = _decode_cursor(cursor)
            if newest_first:
                high = min(high, bisect_left(candidates, position, key=lambda row: row[:2]))
            else:
                low = max(low, bisect_right(candidates, position, key=lambda row: row[:2]))
        page: list[MatchRow] = []
        for index in range(high - 1, low - 1, -1) if newest_first else range(low, high):
            if _matches_filter(candidates[index], filters):
                if len(page) == limit:
                    return page, _encode_cursor(page[-1])
                page.append(candidates[index])
        return page, None

    def candidates(self, filters: Mapping[str, str]) -> Sequence[MatchRow]:
        """Return the matches of the most selective filter, by kick-off; `page` scans only these."""
        rows: Sequence[MatchRow] = min(
            (self._rows_by_value.get(item, ()) for item in filters.items()), key=len, default=self.rows
        )
        return rows

    def last_match(self, club: str, competition: str | None = None) -> MatchRow | None:
        """Return the last match of a club, in any competition or in this one; None without a match."""
        rows = self._rows_by_value.get(("team", club), ())
        return next((row for row in reversed(rows) if competition in (None, row.competition)), None)

    def slugs(self, competition: str) -> Mapping[str, str]:
        """Return the slugs of the clubs of a competition, as its matches have them in their ids."""
        if competition not in self._slugs:
            rows = self._rows_by_value.get(("competition", competition), ())
            self._slugs[competition] = club_slugs(name for row in rows for name in (row.home_team, row.away_team))
        return self._slugs[competition]


def _matches_filter(row: MatchRow, filters: Mapping[str, str]) -> bool:
    for key, value in filters.items():
        if key == "team":
            if value not in (row.home_team, row.away_team):
                return False
        elif getattr(row, key) != value:
            return False
    return True


def _encode_cursor(row: MatchRow) -> str:
    return base64.urlsafe_b64encode(f"{row.kick_off.isoformat()} {row.match_id}".encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text, match_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ", 1)
        kick_off = datetime.fromisoformat(text)
    except (ValueError, binascii.Error) as error:
        raise InvalidFieldError("invalid cursor", "cursor") from error
    if kick_off.tzinfo is None:
        raise InvalidFieldError("invalid cursor", "cursor")
    return kick_off, match_id
