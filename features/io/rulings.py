"""Points deductions that a user has entered in a CSV file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from pathlib import Path

from features.competitions import is_slug
from features.errors import InvalidInputError, SourceError, UnknownTeamError
from features.io.sources.calendar_day import parse_day
from features.io.sources.cells import BadRowError
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.season_label import parse_season
from features.io.sources.text_table import read_text_table
from features.rulings import Ruling

COLUMNS = ("competition", "season", "club", "points", "decided")
"""Required columns; `reason` is optional."""
MOST_POINTS = 100
"""More points than any ruling: a higher number is a typing error."""


def load_rulings(path: Path | None, aliases: ClubAliases | None = None) -> tuple[Ruling, ...]:
    """Read the rulings of a CSV with the columns competition, season, club, points, decided and, if wanted, reason.

    Raises
    ------
    InvalidInputError
        If the file cannot be read or a row cannot be used; the message names each such row as an editor counts lines.
    """
    if path is None:
        return ()
    known, rulings, wrong = aliases or load_aliases(), [], []
    for line, cells in _rows(path):
        try:
            rulings.append(_ruling(cells, f"{path} row {line}", known))
        except (BadRowError, UnknownTeamError) as error:
            wrong.append(f"row {line}: {error}")
    if wrong:
        raise InvalidInputError(f"the rulings {path} cannot be used; {'; '.join(wrong[:10])}")
    return tuple(rulings)


def _rows(path: Path) -> list[tuple[int, Mapping[str, str]]]:
    """Read line and named cells of each row."""
    try:
        table = read_text_table(f"the rulings {path}", path.read_bytes())
    except (OSError, SourceError) as error:
        raise InvalidInputError(f"the rulings {path} cannot be read: {error}") from error
    if missing := [name for name in COLUMNS if name not in table.header]:
        raise InvalidInputError(
            f"the rulings {path} have no column {', '.join(missing)}; they have {', '.join(table.header)}"
        )
    if table.broken:
        line, reason, _ = table.broken[0]
        raise InvalidInputError(f"the rulings {path} cannot be used; row {line}: {reason}")
    empty = dict.fromkeys((*COLUMNS, "reason"), "")
    return [(line, {**empty, **dict(zip(table.header, cells, strict=False))}) for line, cells in table.rows]


def _ruling(cells: Mapping[str, str], where: str, aliases: ClubAliases) -> Ruling:
    """Build one ruling; raises BadRowError or UnknownTeamError."""
    if not is_slug(cells["competition"]):
        raise BadRowError(f"competition {cells['competition']!r} is not a slug such as eng-championship")
    if not cells["club"]:
        raise BadRowError("the club is missing")
    return Ruling(
        cells["competition"],
        parse_season(cells["season"]),
        aliases.canonical(cells["club"], cells["competition"], where),
        _points(cells["points"]),
        datetime.combine(parse_day(cells["decided"]), time(), UTC),
        cells["reason"],
    )


def _points(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,4}", text) or not 0 < abs(int(text)) <= MOST_POINTS:
        raise BadRowError(f"points {text!r} is not a whole number such as -6")
    return int(text)
