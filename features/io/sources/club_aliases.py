"""Club names of the sources and their canonical names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from features.competitions import COMPETITIONS, country_of
from features.errors import SourceError, UnknownTeamError
from features.io.sources.alias_table import AliasRule, read_rules
from features.io.sources.listed_clubs import ListedClubs
from features.names import normalise

Tables = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class ClubAliases:
    """Aliases of clubs by country, or by competition if a name means another club elsewhere in the country.

    In the countries of `whole`, every club is listed: a name is found whatever its case, accents and punctuation, and
    an unknown one is an error. In other countries, an unknown name is kept, in the form that `normalise` gives it.

    Attributes
    ----------
    tables : canonical names by alias, for each country and competition; no canonical name is an alias of another.
    own_rules : the lines of the user's table.
    """

    tables: Tables
    whole: frozenset[str]
    own_rules: tuple[AliasRule, ...] = ()
    _clubs: dict[str, ListedClubs] = field(default_factory=dict, repr=False, compare=False)

    def canonical(self, name: str, competition: str, where: str) -> str:
        """Return the canonical name of a club.

        Raises
        ------
        UnknownTeamError
            If the name is unknown, can mean several clubs or cannot be read; the message contains `where` and, for an
            unknown name, similar clubs of the country.
        """
        if (clubs := self._clubs.get(competition)) is None:
            clubs = self._clubs[competition] = ListedClubs(self.aliases_in(competition))
        text = normalise(name)
        if (canonical := clubs.aliases.get(text)) is not None:
            return canonical
        if text or name.strip():
            _check_readable(text, name, where)
        return clubs.resolve(text, where) if self.is_exhaustive(competition) else clubs.renamed(text)

    def aliases_in(self, competition: str) -> dict[str, str]:
        """Return the aliases that hold in a competition: its own, and those of its country."""
        return _followed({**self.tables.get(country_of(competition), {}), **self.tables.get(competition, {})})

    def is_exhaustive(self, competition: str) -> bool:
        """Whether every club of a competition is listed."""
        return country_of(competition) in self.whole

    def notes(self, competition: str, offered: Collection[str]) -> list[str]:
        """Say which of the user's rules do nothing, and which add a club to a country whose clubs are all listed."""
        slugs = {*offered, *(league.slug for league in COMPETITIONS)}
        scopes = slugs | {country_of(slug) for slug in slugs}
        bundled = _bundled().aliases_in(competition)
        return [
            f"line {rule.line} ({rule.alias} = {rule.canonical}): {note}"
            for rule in self.own_rules
            if (note := self._note(rule, competition, scopes, bundled))
        ]

    def _note(self, rule: AliasRule, competition: str, scopes: Collection[str], bundled: Mapping[str, str]) -> str:
        if rule.scope not in scopes:
            known = ", ".join(sorted(scope for scope in scopes if "-" not in scope))
            return f"{rule.scope!r} is neither a competition nor a country with one ({known}), so the rule does nothing"
        if rule.scope not in (competition, country_of(competition)):
            return ""
        if bundled.get(rule.alias) == rule.canonical:
            return "this is known without the rule"
        if self.is_exhaustive(competition):
            canonical = self.aliases_in(competition)[rule.alias]
            return "" if canonical in bundled.values() else f"{canonical!r} is added to the clubs of the country"
        return "both names are the same, so the rule does nothing" if rule.alias == rule.canonical else ""


def load_aliases(own: Path | None = None) -> ClubAliases:
    """Load the aliases of the package and those of the user, which take precedence.

    An alias may lead to another alias, also to one of the package.

    Raises
    ------
    SourceError
        If the user's table cannot be read, or its aliases lead in a circle.
    """
    if own is None:
        return _bundled()
    bundled, rules = _bundled(), read_rules(own)
    added: dict[str, dict[str, str]] = {}
    for rule in rules:
        added.setdefault(rule.scope, {})[rule.alias] = rule.canonical
    tables = {
        scope: {**bundled.tables.get(scope, {}), **_renamed(_unfollowed(bundled.tables, scope), table), **table}
        for scope, table in added.items()
    }
    aliases = ClubAliases({**bundled.tables, **tables}, bundled.whole, tuple(rules))
    for scope in added:
        if circle := _circle(_unfollowed(aliases.tables, scope)):
            raise SourceError(
                f"the alias table {own} leads in a circle: {' = '.join(circle)}"
                f"{_lines(rules, circle)}; delete one of these rules"
            )
    return ClubAliases(
        {scope: _followed(table) for scope, table in aliases.tables.items()}, bundled.whole, tuple(rules)
    )


def _lines(rules: Sequence[AliasRule], circle: Collection[str]) -> str:
    lines = [str(rule.line) for rule in rules if rule.alias in circle and rule.canonical in circle]
    return f" (line{'s' if len(lines) > 1 else ''} {', '.join(lines)})"


@cache
def _bundled() -> ClubAliases:
    tables: dict[str, dict[str, str]] = {}
    for rule in read_rules(Path(str(files("features.io.sources") / "data" / "team_aliases.csv"))):
        tables.setdefault(rule.scope, {})[rule.alias] = rule.canonical
    return ClubAliases(tables, frozenset(country_of(name) for name in tables))


def _renamed(bundled: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """List the clubs that the user names otherwise; they keep that name, although the package has the rule back."""
    return {canonical: canonical for alias, canonical in own.items() if bundled.get(canonical) == alias}


def _unfollowed(tables: Tables, scope: str) -> dict[str, str]:
    return {**tables.get(country_of(scope), {}), **tables.get(scope, {})}


def _path(aliases: Mapping[str, str], alias: str) -> Iterator[str]:
    """Walk from an alias to the club that it means, through other aliases; stop where the way repeats itself."""
    seen: set[str] = set()
    while alias not in seen:
        yield alias
        seen.add(alias)
        alias = aliases.get(alias, alias)


def _followed(aliases: Mapping[str, str]) -> dict[str, str]:
    return {alias: list(_path(aliases, alias))[-1] for alias in aliases}


def _circle(aliases: Mapping[str, str]) -> list[str]:
    """Return the names of a circle of aliases, the first one again at its end; empty if there is none."""
    for alias in aliases:
        path = list(_path(aliases, alias))
        if (back := aliases.get(path[-1], path[-1])) != path[-1]:
            return [*path[path.index(back) :], back]
    return []


def _check_readable(text: str, name: str, where: str) -> None:
    if not any(character.isalnum() for character in text):
        raise UnknownTeamError(f"club {name[:200]!r} in {where} has no letter: write the name of a club")
    if any(character == "\ufffd" or "\ud800" <= character <= "\udfff" for character in text):
        raise UnknownTeamError(f"club {name[:200]!r} in {where} has lost a letter: save the file in UTF-8")
