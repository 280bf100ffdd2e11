"""Canonical club names, and suggestions for unknown ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from functools import lru_cache

from rapidfuzz import fuzz, process

from features.errors import UnknownTeamError
from features.names import NameIndex, fold

MIN_RATED_MATCHES = 10
"""With fewer matches in the data, a club's ratings are still close to those of an average newcomer."""

SIMILARITY_CUTOFF = 70
"""Minimum similarity of a suggestion, from 0 to 100: misspellings score higher, other clubs lower."""

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
"""Scripts that share the looks of many letters."""


_folded = lru_cache(20_000)(fold)
"""Folded names that are known: a batch of a thousand wrong names compares each with all of them."""


def suggest(name: str, known: Collection[str], limit: int = 3, aliases: Mapping[str, str] | None = None) -> list[str]:
    """Suggest up to `limit` known names similar to `name` or one of whose aliases is; the most similar first."""
    names = dict.fromkeys(known)
    meant = {alias: canonical for alias, canonical in (aliases or {}).items() if canonical in names}
    meant |= {text: text for text in names}
    typed = fold(name[:200])[:200]  # some letters fold to eighteen
    candidates = process.extract(
        typed,
        {spelling: _folded(spelling) for spelling in meant},
        scorer=fuzz.WRatio,
        limit=10 * limit,
        score_cutoff=SIMILARITY_CUTOFF,
    )
    ranked = sorted(candidates, key=lambda candidate: (-candidate[1], -fuzz.ratio(typed, candidate[0])))
    return list(dict.fromkeys(meant[spelling] for _, _, spelling in ranked))[:limit]


def resolve(name: str, known: Collection[str], aliases: Mapping[str, str], where: str = "") -> str:
    """Return the canonical name of a club, whatever the case, accents and punctuation of its spelling.

    Parameters
    ----------
    known : canonical names.
    aliases : canonical names by alias.
    where : file and row of the name, for the error message.

    Raises
    ------
    UnknownTeamError
        If the name is unknown, or can mean several clubs; the message lists those or similar ones.
    """
    found = NameIndex(known, aliases).find(name)
    if len(found) == 1:
        return found[0]
    raise UnknownTeamError(unknown_club(name, found or suggest(name, known, aliases=aliases), where, bool(found)))


def unknown_club(name: str, close: Collection[str], where: str = "", is_ambiguous: bool = False) -> str:
    """Say that a name is unknown, or that it can mean each of the clubs `close`."""
    subject = f"club {name[:200]!r}{f' in {where}' if where else ''}"
    if is_ambiguous:
        return f"{subject} can mean {' or '.join(map(repr, close))}: write it exactly like one of them"
    hint = f"nearest known: {', '.join(close)}" if close else "no known club is similar"
    return f"{subject} is unknown; {hint}{describe_mixed_scripts(name)}"


def describe_mixed_scripts(name: str) -> str:
    """Name the letter of a name that looks Latin but is not; empty if there is none."""
    letters = {letter: unicodedata.name(letter, "") for letter in name[:200] if letter.isalpha()}
    scripts = [text.partition(" ")[0] for text in letters.values()]
    if "LATIN" not in scripts or not set(scripts) & set(_SCRIPTS[1:]):
        return ""
    letter, full = next(item for item in letters.items() if item[1].startswith(_SCRIPTS[1:]))
    return f"; its letter {letter!r} is {full}, not a Latin one"
