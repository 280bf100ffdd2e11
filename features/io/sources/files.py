"""Matches from CSV or parquet files of the user, with a mapping of column names."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from features.errors import SourceError, UnknownTeamError
from features.io.sources.archive import FileArchive, Version, is_backdated
from features.io.sources.club_aliases import ClubAliases, load_aliases
from features.io.sources.row_parsing import BadRowError, FileParse, kick_off, parse_count, parse_date, parse_odds
from features.io.sources.source_result import Defect
from features.matches import RESULT_COLUMNS, Status, with_match_ids

SOURCE = "files"
NEEDED = ("competition", "season", "kick_off", "home_team", "away_team")
_COUNTS = tuple(name for name in RESULT_COLUMNS if not name.startswith("closing"))
_ODDS = ("odds_home", "odds_draw", "odds_away", "closing_home", "closing_draw", "closing_away")
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%d/%m/%y", "%d.%m.%Y")


class Content(NamedTuple):
    """Content of a file, and when it was first read."""

    data: bytes
    seen_at: datetime


def paths(setting: Path | None) -> list[Path]:
    """List the files that the setting TOUCHLINE_FILES names, sorted.

    Raises
    ------
    SourceError
        If the setting is missing or leads to no CSV or parquet file.
    """
    if setting is None:
        raise SourceError("source `files` needs TOUCHLINE_FILES: a CSV or parquet file, or a folder of them")
    if setting.is_dir():
        files = sorted(path for path in setting.glob("*") if path.suffix in (".csv", ".parquet"))
    else:
        files = [setting]
    if not files or not all(path.is_file() for path in files):
        raise SourceError(f"{setting} is neither a CSV or parquet file nor a folder with one")
    return files


def contents(setting: Path | None, versions: FileArchive, now: datetime, clock: datetime) -> dict[str, Content]:
    """Read each file as it was at `now`, by name, and archive new content; `clock` is the real time."""
    by_name = {}
    for path in paths(setting):
        content = _read(path)
        current, last = Version.of(f"files:{path.name}", content, clock), versions.last(f"files:{path.name}")
        if last is None or last.sha256 != current.sha256:
            versions.keep(current, content)
            last = current
        archived = versions.last(current.url, now) if is_backdated(now, clock) else None
        by_name[path.name] = Content(versions.content(archived) if archived else content, (archived or last).fetched_at)
    return by_name


def competitions(setting: Path | None, columns: Mapping[str, str]) -> tuple[str, ...]:
    """List the slugs of the competitions in the files."""
    slugs = {str(slug) for path in paths(setting) for slug in _table(path.name, _read(path), columns)["competition"]}
    return tuple(sorted(slug for slug in slugs if is_slug(slug)))


def parse_all(
    contents: Mapping[str, Content], competition: str, columns: Mapping[str, str], known: ClubAliases | None = None
) -> tuple[pd.DataFrame, list[Defect], int]:
    """Parse all files: the matches of one competition without duplicates, the defects and the number of its rows."""
    first_rows: dict[tuple[object, ...], str] = {}
    parsed = [
        _parse(name, content, competition, columns, first_rows, known or load_aliases())
        for name, content in contents.items()
    ]
    tables = [table for table, _, _ in parsed if len(table)]
    # meetings of a pair may be in different files, so they are numbered again over all files
    matches = with_match_ids(pd.concat(tables, ignore_index=True)) if tables else pd.DataFrame()
    return matches, [defect for _, defects, _ in parsed for defect in defects], sum(rows for _, _, rows in parsed)


def _parse(
    file: str,
    content: Content,
    competition: str,
    columns: Mapping[str, str],
    first_rows: dict[tuple[object, ...], str],
    known: ClubAliases,
) -> tuple[pd.DataFrame, list[Defect], int]:
    """Parse one file. `first_rows` maps each match to its first row; the matches of this file are added."""
    parsed = FileParse(SOURCE, file, known)
    for row, cells in enumerate(_table(file, content.data, columns).to_dict("records"), start=2):
        if cells["competition"] != competition:
            continue
        parsed.rows += 1
        named = {str(name): str(value).strip() for name, value in cells.items()}
        try:
            match = _match(named, competition, f"{file} row {row}", known, content.seen_at)
        except (BadRowError, UnknownTeamError) as error:
            parsed.reject(row, str(error), named)
            continue
        key = (match["season"], match["home_team"], match["away_team"], match["kick_off"])
        if key in first_rows:
            parsed.skip(row, f"duplicate of {first_rows[key]}", named)
            continue
        first_rows[key] = f"{file} row {row}"
        parsed.good.append(match)
    if parsed.rows == parsed.not_played:  # no row of this competition, or only duplicates of other files
        return pd.DataFrame(), parsed.defects, parsed.rows
    return parsed.matches(), parsed.defects, parsed.rows


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def _table(file: str, content: bytes, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read all cells as text, under the standard column names."""
    raw = io.BytesIO(content)
    try:
        table = (
            pd.read_parquet(raw) if file.endswith(".parquet") else pd.read_csv(raw, dtype="str", encoding="utf-8-sig")
        )
    except (OSError, ValueError) as error:
        raise SourceError(f"{file} cannot be read: {error}") from error
    table = table.rename(columns={column: name for name, column in columns.items()})
    if missing := [name for name in NEEDED if name not in table]:
        raise SourceError(
            f"{file} has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. "
            "Name them in TOUCHLINE_FILES_COLUMNS"
        )
    return table.astype("str").where(table.notna(), "")


def is_slug(text: str) -> bool:
    """Whether a text has the form of a competition's slug, such as `eng-premier-league`."""
    return re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", text) is not None


def _match(
    cells: Mapping[str, str], competition: str, where: str, known: ClubAliases, seen_at: datetime
) -> dict[str, object]:
    if not is_slug(competition):
        raise BadRowError(f"competition {competition!r} is not a slug such as eng-premier-league")
    if not re.fullmatch(r"\d{4}(-\d{2})?", cells["season"]):
        raise BadRowError(f"season {cells['season']!r} is not of the form 2025-26 or 2025")
    moment, exact = _kick_off(cells["kick_off"])
    home, away = (known.canonical(cells[side], competition, where) for side in ("home_team", "away_team"))
    if home == away or not home or not away:
        raise BadRowError(f"home_team and away_team must be two clubs, not {home!r} and {away!r}")
    counts = {name: parse_count(cells[name], name, 100) for name in _COUNTS if cells.get(name)}
    odds = {name: parse_odds(cells[name]) for name in _ODDS if cells.get(name)}
    played = "home_goals" in counts and "away_goals" in counts
    if odds and cells.get("odds_known_at"):
        odds_known_at = _moment(cells["odds_known_at"], "odds_known_at")
    else:  # for a played match the time is unknown, but it was before kick-off
        odds_known_at = moment if played else seen_at
    return {
        "competition": competition,
        "season": cells["season"],
        "kick_off": moment,
        "kick_off_exact": exact,
        "home_team": home,
        "away_team": away,
        "neutral": cells.get("neutral", "").lower() in ("1", "true", "yes"),
        "status": (Status.PLAYED if played else Status.SCHEDULED).value,
        "awarded": cells.get("awarded", "").lower() in ("1", "true", "yes"),
        "source": SOURCE,
        **counts,
        **odds,
        **({"odds_known_at": odds_known_at} if odds else {}),
    }


def _kick_off(text: str) -> tuple[datetime, bool]:
    """Parse a timestamp with timezone, or a date. Returns the kick-off and whether its time of day is known."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        day: date = parse_date(text, _DATES)
        return kick_off(day, "", "UTC")
    if len(text) <= len("2025-08-16") or (moment.tzinfo is None and moment.time() == datetime.min.time()):
        return kick_off(moment.date(), "", "UTC")
    return _moment(text, "kick_off"), True


def _moment(text: str, column: str) -> datetime:
    """Parse a timestamp with timezone to UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRowError(f"{column} {text!r} is not a timestamp such as 2025-08-16T14:00+00:00") from None
    if moment.tzinfo is None:
        raise BadRowError(f"{column} {text!r} has no timezone; write for example {text}+00:00")
    return pd.Timestamp(moment).tz_convert("UTC").to_pydatetime()
