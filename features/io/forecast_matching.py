"""Forecasts of a file and the matches that they are about: by match_id, or by clubs and day or season."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import UnknownTeamError
from features.io.forecast_file import ForecastFile, ForecastRow, Refusal
from features.io.sources.cells import BadRowError, is_empty
from features.io.sources.club_aliases import ClubAliases
from features.io.sources.own_table import competition_of
from features.io.sources.season_label import parse_season
from features.matches import Status, decided_on_pitch
from features.names import NameIndex
from features.teams import suggest

Floats = NDArray[np.float64]

DAY_OFF = timedelta(days=1)
"""By how much the day of a forecast may differ from that of the match: it depends on the timezone."""


@dataclass(frozen=True)
class MatchedForecasts:
    """Forecasts of played matches.

    Attributes
    ----------
    rows : (n,) positions of the matches in the matches table.
    probabilities : (n, 3) ordered home, draw, away.
    refused : rows that are not scored because they are wrong.
    without_result : number of rows about matches without a result on the pitch: they count as neither.
    """

    rows: NDArray[np.int64]
    probabilities: Floats
    refused: list[Refusal]
    without_result: int


def match_forecasts(file: ForecastFile, matches: pd.DataFrame, aliases: ClubAliases) -> MatchedForecasts:
    """Find the match of each row of a file.

    A row is refused if its match is unknown or has an earlier row, or had begun when the forecast was made.

    Parameters
    ----------
    matches : the matches table, as known at the time of scoring.
    aliases : of clubs; names are found whatever their case, accents and punctuation.
    """
    finder = MatchFinder(matches, aliases)
    first: dict[int, ForecastRow] = {}
    refused = list(file.refused)
    for row in file.rows:
        try:
            at = finder.find(row)
            if at in first:
                raise BadRowError(f"{finder.match_ids[at]} is also forecast in {first[at].file} row {first[at].row}")
            finder.check_time(row, at)
            first[at] = row
        except BadRowError as error:
            refused.append(Refusal(row.file, row.row, str(error)))
    has_result = decided_on_pitch(matches)
    scored = [at for at in first if has_result[at]]
    p = np.array([first[at].probabilities for at in scored], dtype=float).reshape(-1, 3)
    return MatchedForecasts(
        np.array(scored, dtype=np.int64),
        p,
        sorted(refused, key=lambda refusal: (refusal.file, refusal.row)),
        len(first) - len(scored),
    )


class MatchFinder:
    """The matches of a table by id, and by clubs."""

    def __init__(self, matches: pd.DataFrame, aliases: ClubAliases) -> None:
        self.match_ids = matches["match_id"].to_list()
        self._at = {match_id: at for at, match_id in enumerate(self.match_ids)}
        self._kick_offs = matches["kick_off"].to_list()
        self._exact = matches["kick_off_exact"].to_numpy(bool)
        self._played = (matches["status"] == Status.PLAYED).to_numpy()
        self._seasons = matches["season"].to_list()
        self._aliases = aliases
        self._meetings: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        clubs: dict[str, set[str]] = defaultdict(set)
        names = zip(matches["competition"], matches["home_team"], matches["away_team"], strict=True)
        for at, (competition, home, away) in enumerate(names):
            self._meetings[competition, home, away].append(at)
            clubs[competition] |= {home, away}
        self._clubs = clubs
        self._index = {name: NameIndex(known, aliases.aliases_in(name)) for name, known in clubs.items()}
        self._found: dict[tuple[str, str], str | None] = {}

    def find(self, row: ForecastRow) -> int:
        """Return the position of the match that a row is about.

        Raises
        ------
        BadRowError
            If it is unknown, or the row may be about several.
        """
        if not is_empty(row.match_id):
            if row.match_id not in self._at:
                raise BadRowError(f"there is no match {row.match_id[:100]!r}")
            return self._at[row.match_id]
        if is_empty(row.home_team) or is_empty(row.away_team):
            raise BadRowError("a club is empty")
        meetings = self._all_meetings(row)
        if row.day is not None:
            chosen = self._nearest(meetings, row.day)
        elif not is_empty(row.season):
            season = parse_season(row.season)
            chosen = [at for at in meetings if self._seasons[at] == season]
        else:
            chosen = meetings
        if len(chosen) == 1:
            return chosen[0]
        pair = f"{row.home_team} against {row.away_team}"
        if chosen:
            raise BadRowError(f"{pair} may be {len(chosen)} matches: add the column date, season or competition")
        when = f"on {row.day}" if row.day is not None else f"in {row.season}"
        days = ", ".join(sorted(str(self._kick_offs[at].date()) for at in meetings)[-3:])
        raise BadRowError(f"{pair} is no match {when}; they met on {days}" if days else f"{pair} is no match {when}")

    def check_time(self, row: ForecastRow, at: int) -> None:
        """Raise BadRowError if the match may have begun when the forecast was made; a row without a time passes."""
        if row.made_at is None:
            return
        kick_off: datetime = self._kick_offs[at].to_pydatetime()
        begins = kick_off if self._exact[at] else datetime.combine(kick_off.date(), time(0), UTC)
        if isinstance(row.made_at, datetime):
            late, made = row.made_at >= begins, f"{row.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        else:
            late, made = row.made_at >= kick_off.date(), str(row.made_at)
        if late:
            known = f"{kick_off:%Y-%m-%d %H:%M} UTC" if self._exact[at] else f"{kick_off:%Y-%m-%d}"
            raise BadRowError(f"the forecast was made {made}, and the match may have begun: its kick-off is {known}")

    def _all_meetings(self, row: ForecastRow) -> list[int]:
        """Return the meetings of two clubs at this ground in the row's competition, or in all if it names none here."""
        named = competition_of(row.competition) if not is_empty(row.competition) else None
        competitions = [named] if named in self._clubs else list(self._clubs)
        meetings: list[int] = []
        unknown: list[str] = []
        for competition in competitions:
            clubs = [self._club(name, competition) for name in (row.home_team, row.away_team)]
            unknown += [name for name, club in zip((row.home_team, row.away_team), clubs, strict=True) if club is None]
            home, away = clubs
            if home is not None and away is not None:
                meetings += self._meetings.get((competition, home, away), [])
        if meetings:
            return meetings
        for name in (row.home_team, row.away_team):
            if unknown.count(name) == len(competitions):
                raise BadRowError(self._unknown_club(name, competitions))
        return []

    def _nearest(self, meetings: Sequence[int], day: date) -> list[int]:
        """Return the meeting on a day, or else those a day off."""
        off = {at: abs(self._kick_offs[at].date() - day) for at in meetings}
        exact = [at for at in meetings if not off[at]]
        return exact or [at for at in meetings if off[at] <= DAY_OFF]

    def _club(self, name: str, competition: str) -> str | None:
        """Return the club of a competition that a name means; None if it means none, or several."""
        key = competition, name
        if key not in self._found:
            self._found[key] = self._resolved(name, competition)
        return self._found[key]

    def _resolved(self, name: str, competition: str) -> str | None:
        try:
            canonical = self._aliases.canonical(name, competition, "")
        except UnknownTeamError:
            canonical = name
        if canonical in self._clubs[competition]:
            return canonical
        found = self._index[competition].find(name)
        return found[0] if len(found) == 1 else None

    def _unknown_club(self, name: str, competitions: Sequence[str]) -> str:
        clubs = set[str]().union(*(self._clubs[competition] for competition in competitions))
        close = suggest(name, clubs)
        return f"club {name[:100]!r} is unknown; nearest known: {', '.join(close) if close else 'none is similar'}"
