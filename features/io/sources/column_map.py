"""Columns of the user's files: the setting TOUCHLINE_FILES_COLUMNS, well-known names, and constants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from features.competitions import is_slug
from features.errors import SourceError
from features.io.sources.cells import BadRowError
from features.io.sources.season_label import parse_season
from features.slugs import slug
from features.teams import suggest

SETTING = "TOUCHLINE_FILES_COLUMNS"
WELL_KNOWN = {
    "competition": ("competition", "league", "div", "division"),
    "season": ("season",),
    "kick_off": ("kickoff", "date", "matchdate", "datetime", "utcdate"),
    "time": ("time", "kickofftime", "matchtime"),
    "timezone": ("timezone",),
    "home_team": ("hometeam", "home", "homename", "homeclub"),
    "away_team": ("awayteam", "away", "awayname", "awayclub", "visitor"),
    "home_goals": ("homegoals", "homescore", "fthg", "hg", "hgoal"),
    "away_goals": ("awaygoals", "awayscore", "ftag", "ag", "vgoal"),
    "home_shots": ("homeshots", "hs"),
    "away_shots": ("awayshots", "as"),
    "home_shots_on_target": ("homeshotsontarget", "hst"),
    "away_shots_on_target": ("awayshotsontarget", "ast"),
    "odds_home": ("oddshome",),
    "odds_draw": ("oddsdraw",),
    "odds_away": ("oddsaway",),
    "odds_known_at": ("oddsknownat",),
    "closing_home": ("closinghome",),
    "closing_draw": ("closingdraw",),
    "closing_away": ("closingaway",),
    "neutral": ("neutral",),
    "awarded": ("awarded",),
}
"""Names of the user's columns that need no mapping, by the column that they fill; without case, blanks and signs."""

NEEDED = ("competition", "kick_off", "home_team", "away_team")
BY_YEAR, BY_AUTUMN, BY_FILE = "year", "autumn-spring", "file"
_OF_A_SEASON = re.compile(
    r"[-_ ]?(?:season[-_ ]?)?((?:19|20)\d\d[-_](?:\d{4}|\d\d)|(?:19|20)\d\d|\d{4})$", re.IGNORECASE
)


@dataclass(frozen=True)
class ColumnSetting:
    """The setting: columns and constants of all files, and those of some files, which take precedence.

    `by_file` has patterns of file names, such as `ARG*.csv`. `competition` is an example for the messages.
    """

    general: Mapping[str, str] = field(default_factory=dict)
    by_file: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    competition: str | None = None

    @classmethod
    def parse(cls, setting: Mapping[str, str | Mapping[str, str]], competition: str | None = None) -> ColumnSetting:
        """Tell the columns of all files from the objects with those of some files.

        Raises
        ------
        SourceError
            If a name is no column of a match; the message has the nearest one.
        """
        general = {name: column for name, column in setting.items() if isinstance(column, str)}
        by_file = {name: columns for name, columns in setting.items() if not isinstance(columns, str)}
        for columns in (general, *by_file.values()):
            _check_names(columns)
        return cls(general, by_file, competition)

    def of(self, file: str) -> dict[str, str]:
        """Return the columns and constants of one file; a table in a zip archive is `archive.zip/table.csv`."""
        merged = dict(self.general)
        for pattern, columns in self.by_file.items():
            if _is_named(file, pattern):
                merged |= columns
        return merged

    def unused(self, files: Iterable[str]) -> list[str]:
        """List the patterns that no file has."""
        named = list(files)
        return [pattern for pattern in self.by_file if not any(_is_named(file, pattern) for file in named)]


def _is_named(file: str, pattern: str) -> bool:
    """Whether a file, its path or the archive that contains it has a name of this pattern; case does not matter."""
    path = PurePosixPath(file.casefold())
    names = (str(path), path.name, *(parent.name for parent in path.parents if parent.suffix == ".zip"))
    return any(fnmatchcase(name, pattern.casefold()) for name in names)


@dataclass(frozen=True)
class ColumnMap:
    """Which column of a file, or which constant, fills each column of the matches.

    `replaced` has the columns of the file that are not read because there is a constant.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    recognised: Mapping[str, str]
    replaced: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.columns or name in self.constants

    def describe(self) -> str:
        """Describe what is read under another name than its own."""
        named = {name: column for name, column in self.columns.items() if column != name}
        parts = [f"{name} is {column}" for name, column in named.items()]
        for name, value in self.constants.items():
            unread = f", whatever its column {self.replaced[name]} says" if name in self.replaced else ""
            parts.append(f"{name} is always {value}{unread}")
        return ", ".join(parts)


def _check_names(columns: Mapping[str, str]) -> None:
    for name, column in columns.items():
        if name in WELL_KNOWN:
            continue
        if column in WELL_KNOWN:
            hint = f'write it the other way round: {{"{column}": "{name}"}}'
        else:
            known = [target for target, names in WELL_KNOWN.items() if _plain(name) in names]
            near = known or suggest(name, list(WELL_KNOWN)) or list(WELL_KNOWN)
            hint = f"nearest: {', '.join(near)}"
        raise SourceError(f"{SETTING} maps {name!r}, which is no column of a match; {hint}")


def map_columns(file: str, header: Sequence[str], setting: ColumnSetting) -> ColumnMap:
    """Find the column of each value in a file.

    Raises
    ------
    SourceError
        If the file lacks a column that is mapped or needed; the message has the file's own columns.
    """
    own = setting.of(file)
    constants = {name: _constant(file, name, text[1:].strip()) for name, text in own.items() if text[:1] == "="}
    mapped = {name: column.strip() for name, column in own.items() if name not in constants}
    for name, column in list(mapped.items()):
        if column not in header and name in header:
            mapped[name] = name
        elif column not in header:
            raise SourceError(
                f"{file} has no column {column!r}, which {SETTING} maps to {name}; it has {_listed(header)}"
            )
    recognised = _recognise(header, {*constants, *mapped}, set(mapped.values()))
    columns = {name: (mapped | recognised)[name] for name in WELL_KNOWN if name in mapped or name in recognised}
    if missing := [name for name in NEEDED if name not in columns and name not in constants]:
        raise SourceError(_missing(file, missing, header, setting.competition or "eng-premier-league"))
    if twice := [column for column in columns.values() if list(header).count(column) > 1]:
        raise SourceError(f"{file} has the column {twice[0]!r} twice; rename one of them")
    replaced = _recognise(header, set(WELL_KNOWN) - set(constants), set(mapped.values()))
    return ColumnMap(columns, constants, recognised, replaced)


def _missing(file: str, missing: Sequence[str], header: Sequence[str], competition: str) -> str:
    constant = f' A value that is the same everywhere: {{"competition": "={competition}"}}.'
    example = ", ".join(f'"{name}": "..."' for name in missing)
    return (
        f"{file} has no column {', '.join(missing)}; it has {_listed(header)}. "
        f"Name them in {SETTING}='{{{example}}}', or for this file alone '{{\"{file}\": {{{example}}}}}'."
        f"{constant if 'competition' in missing else ''}"
    )


def _listed(header: Sequence[str]) -> str:
    names = [name[:40] for name in header if name]
    return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")


def _recognise(header: Sequence[str], taken: set[str], used: set[str]) -> dict[str, str]:
    """Find columns by their well-known names; a name that is exactly right comes first."""
    by_plain: dict[str, str] = {}
    for column in header:
        if column and column not in used:
            by_plain.setdefault(_plain(column), column)
    found = {}
    for name, known in WELL_KNOWN.items():
        if name in taken:
            continue
        columns = [by_plain[plain] for plain in known if plain in by_plain]
        if name in header and name not in used:
            found[name] = name
        elif columns:
            found[name] = columns[0]
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _constant(file: str, name: str, value: str) -> str:
    """Check a constant, or take it from the name of the file."""
    if name == "competition":
        found = _competition_of_file(file) if value == BY_FILE else value
        if not is_slug(found):
            source = f"{file} names no competition" if value == BY_FILE else f"{SETTING}: competition {value!r} is none"
            raise SourceError(f"{source}; write a slug that begins with the country, such as eng-premier-league")
        return found
    if name == "season" and value not in (BY_YEAR, BY_AUTUMN):
        try:
            return parse_season(_season_of_file(file) if value == BY_FILE else value)
        except BadRowError as error:
            where = f"the name of {file}" if value == BY_FILE else SETTING
            raise SourceError(f"{where}: {error}; or =year or =autumn-spring, which take it from the date") from error
    return value


def _stem(file: str) -> str:
    name = PurePosixPath(file).name
    return name[: name.index(".")] if "." in name else name


def _competition_of_file(file: str) -> str:
    return slug(_OF_A_SEASON.sub("", _stem(file)))


def _season_of_file(file: str) -> str:
    found = _OF_A_SEASON.search(_stem(file))
    digits = found[1].replace("_", "-") if found else ""
    if len(digits) != 4 or int(digits[2:]) != (int(digits[:2]) + 1) % 100:
        return digits
    if digits[:2] in ("19", "20"):
        return f"{digits} (one year or two)"
    return f"{digits[:2]}-{digits[2:]}"
