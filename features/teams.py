"""Canonical club names, and suggestions for unknown ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rapidfuzz import fuzz, process, utils

from features.errors import UnknownTeamError

MIN_RATED_MATCHES = 10
"""With fewer matches in the data, a club's ratings are still close to those of an average newcomer."""

SIMILARITY_CUTOFF = 70
"""Minimum similarity of a suggestion, from 0 to 100: misspellings score higher, other clubs lower."""


def suggest(name: str, known: Collection[str], limit: int = 3) -> list[str]:
    """Suggest up to `limit` known names similar to `name`, the most similar first."""
    candidates = process.extract(
        name[:200],
        list(known),
        scorer=fuzz.WRatio,
        processor=utils.default_process,
        limit=limit,
        score_cutoff=SIMILARITY_CUTOFF,
    )
    return [str(candidate) for candidate, _, _ in candidates]


def resolve(name: str, known: Collection[str], aliases: Mapping[str, str], where: str = "") -> str:
    """Return the canonical name of a club.

    Parameters
    ----------
    known : canonical names.
    aliases : canonical names by alias.
    where : file and row of the name, for the error message.

    Raises
    ------
    UnknownTeamError
        If the name is unknown; the message lists similar clubs.
    """
    canonical = aliases.get(name, name)
    if canonical in known:
        return canonical
    close = suggest(name, known)
    hint = f"nearest known: {', '.join(close)}" if close else "no known club is similar"
    raise UnknownTeamError(f"club {name!r}{f' in {where}' if where else ''} is unknown; {hint}")
