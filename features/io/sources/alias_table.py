"""The user's table of club aliases: reads any common form of CSV, and names the line that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from features.errors import SourceError
from features.io.sources.text_table import read_text_table
from features.names import normalise

COLUMNS = ("country", "alias", "canonical")


class AliasRule(NamedTuple):
    """One line of a table: in a country or competition, `alias` means the club `canonical`."""

    line: int
    scope: str
    alias: str
    canonical: str


def read_rules(path: Path) -> list[AliasRule]:
    """Read the rules of a table.

    Raises
    ------
    SourceError
        If the table cannot be read, lacks a column, or has a line without a value or one that contradicts another.
    """
    rules: dict[tuple[str, str], AliasRule] = {}
    for rule in _rules(path):
        first = rules.setdefault((rule.scope, rule.alias), rule)
        if first.canonical != rule.canonical:
            raise SourceError(
                f"the alias table {path} says in line {first.line} that {rule.alias!r} is {first.canonical!r}, and in "
                f"line {rule.line} that it is {rule.canonical!r}: delete one of them"
            )
    return list(rules.values())


def _rules(path: Path) -> Iterator[AliasRule]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"the alias table {path} cannot be read: {error}") from error
    table = read_text_table(f"the alias table {path}", content)
    if table.broken:
        line, reason, _ = table.broken[0]
        raise SourceError(f"the alias table {path} cannot be used: line {line}: {reason}")
    header = [normalise(name).casefold() for name in table.header]
    places = _places(path, header)
    for line, cells in table.rows:
        yield _rule(path, line, cells, header, places)


def _places(path: Path, header: Sequence[str]) -> Mapping[str, int]:
    """Return the places of the columns; `competition` may stand for `country`."""
    places = {name: place for place, name in reversed(list(enumerate(header)))}
    places.setdefault("country", places.get("competition", -1))
    if missing := [name for name in COLUMNS if places.get(name, -1) < 0]:
        actual = f"; it has {', '.join(header)}" if any(header) else ""
        raise SourceError(
            f"the alias table {path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}{actual}"
        )
    return places


def _rule(path: Path, line: int, cells: Sequence[str], header: Sequence[str], places: Mapping[str, int]) -> AliasRule:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise SourceError(
            f"the alias table {path} has {len(cells)} cells in line {line}, but its header {len(header)}: "
            f"put a name that contains a separator in quotes ({', '.join(cells)})"
        )
    values = {name: normalise(cells[places[name]]) if places[name] < len(cells) else "" for name in COLUMNS}
    if empty := [name for name, value in values.items() if not value]:
        raise SourceError(f"the alias table {path} has no {' and no '.join(empty)} in line {line}: {', '.join(cells)}")
    return AliasRule(line, values["country"].casefold(), values["alias"], values["canonical"])
