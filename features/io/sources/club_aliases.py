"""Club names of the sources and their canonical names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pandas as pd
from rapidfuzz import fuzz, utils

from features.competitions import country_of
from features.errors import SourceError
from features.teams import resolve

COLUMNS = ("country", "alias", "canonical")
SIMILARITY_CUTOFF = 80
"""Minimum similarity, from 0 to 100, of two names that may belong to one club."""


@dataclass(frozen=True)
class ClubAliases:
    """Aliases of clubs by country, or by competition if a name means another club elsewhere in the country.

    In the countries of `whole`, every club is listed and an unknown name is an error. In other countries, an unknown
    name is kept as it is.
    """

    tables: Mapping[str, Mapping[str, str]]
    whole: frozenset[str]

    def canonical(self, name: str, competition: str, where: str) -> str:
        """Return the canonical name of a club.

        Raises
        ------
        UnknownTeamError
            If the name is unknown; the message contains `where` and similar clubs of the country.
        """
        aliases = {**self.tables.get(country_of(competition), {}), **self.tables.get(competition, {})}
        if not self.is_exhaustive(competition):
            return aliases.get(name, name)
        return aliases.get(name) or resolve(name, set(aliases.values()), aliases, where)

    def is_exhaustive(self, competition: str) -> bool:
        """Whether every club of a competition is listed."""
        return country_of(competition) in self.whole


def load_aliases(own: Path | None = None) -> ClubAliases:
    """Load the aliases of the package and those of the user, which take precedence.

    Raises
    ------
    SourceError
        If the user's table cannot be read.
    """
    if own is None:
        return _bundled()
    added = _read(own)
    bundled = _bundled()
    tables = {name: {**bundled.tables.get(name, {}), **table} for name, table in added.items()}
    return ClubAliases({**bundled.tables, **tables}, bundled.whole)


@cache
def _bundled() -> ClubAliases:
    tables = _read(Path(str(files("features.io.sources") / "data" / "team_aliases.csv")))
    return ClubAliases(tables, frozenset(country_of(name) for name in tables))


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype="str", encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SourceError(f"the alias table {path} cannot be read: {error}") from error
    if missing := [name for name in COLUMNS if name not in table]:
        raise SourceError(f"the alias table {path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    return {
        str(where): dict(zip(group["alias"], group["canonical"], strict=True))
        for where, group in table.groupby("country")
    }


def similar_names(matches: pd.DataFrame) -> list[tuple[str, str]]:
    """List pairs of names that may belong to one club: similar, and never opponents."""
    sides = matches[["home_team", "away_team"]].drop_duplicates()
    met = {frozenset(pair) for pair in sides.itertuples(index=False, name=None)}
    names: Collection[str] = sorted(set(sides["home_team"]) | set(sides["away_team"]))
    return [
        (name, other)
        for name, other in combinations(names, 2)
        if frozenset((name, other)) not in met
        and fuzz.WRatio(name, other, processor=utils.default_process, score_cutoff=SIMILARITY_CUTOFF)
    ]
