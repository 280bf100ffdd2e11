"""The clubs of one competition, found by any spelling of their names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from features.errors import UnknownTeamError
from features.names import NameIndex, fold
from features.teams import suggest, unknown_club

CLUB_TYPES = frozenset(
    {"fc", "afc", "cf", "cfc", "sc", "ac", "ec", "bc", "fk", "sk", "sv", "fsv", "vfl", "vfb", "vfr", "tsv", "tsg"}
    | {"ud", "cd", "sd", "rc", "us", "as", "ss", "ssc", "uc", "calcio", "club", "football"}
)
"""Words that say what kind of club it is; sources write or omit them."""


class ListedClubs:
    """The clubs that the aliases of a competition lead to."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self.aliases = aliases
        self._index = NameIndex(aliases.values(), aliases)

    def resolve(self, name: str, where: str) -> str:
        """Return the one club that a name can mean.

        Raises
        ------
        UnknownTeamError
            If the name means no club, or can mean several.
        """
        found = self._index.find(name) or self._by_words(name)
        if len(found) == 1:
            return found[0]
        close = found or suggest(name, self._index.names, aliases=self.aliases)
        raise UnknownTeamError(unknown_club(name, close, where, is_ambiguous=len(found) > 1))

    def renamed(self, name: str) -> str:
        """Return the club of which a name is an alias, whatever its case; otherwise the name."""
        found = self._cased.get(name.casefold(), ())
        return found[0] if len(found) == 1 and name not in self._index.names else name

    @cached_property
    def _cased(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for alias, canonical in self.aliases.items():
            key = alias.casefold()
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), canonical)))
        return found

    def _by_words(self, name: str) -> tuple[str, ...]:
        """Find a club without the words of `CLUB_TYPES`; nothing if any other club has all the remaining words."""
        words = _proper_words(name)
        candidates = {club for spelling, club in self._words if words and set(words) <= set(spelling)}
        is_spelling = any(spelling == words for spelling, _ in self._words)
        return tuple(candidates) if len(candidates) == 1 and is_spelling else ()

    @cached_property
    def _words(self) -> Collection[tuple[tuple[str, ...], str]]:
        spellings = {**{name: name for name in self._index.names}, **self.aliases}
        return {(_proper_words(spelling), club) for spelling, club in spellings.items()}


def _proper_words(name: str) -> tuple[str, ...]:
    words = fold(name).split()
    if words[:1] == ["1"]:
        words = words[1:]
    return tuple(word for word in words if word not in CLUB_TYPES)
