"""Canonical club names, and the nearest ones when a name is not known."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rapidfuzz import fuzz, process, utils

from features.errors import UnknownTeamError

MIN_RATED_MATCHES = 10
"""A club with fewer matches in the data still stands about where newcomers usually stand: its forecasts are wide."""

SIMILARITY_CUTOFF = 70
"""How much of 100 a name needs in common with a known one to be suggested: mistypings have more, other clubs less."""


def suggest(name: str, known: Collection[str], limit: int = 3) -> list[str]:
    """Up to `limit` known names most like `name`, best first; none where none is like it."""
    found = process.extract(
        name[:200],
        list(known),
        scorer=fuzz.WRatio,
        processor=utils.default_process,
        limit=limit,
        score_cutoff=SIMILARITY_CUTOFF,
    )
    return [str(candidate) for candidate, _, _ in found]


def resolve(name: str, known: Collection[str], aliases: Mapping[str, str], where: str = "") -> str:
    """The canonical name behind `name`.

    Raises
    ------
    UnknownTeamError
        Naming the value, `where` it stood (file and row), and the nearest known clubs.
    """
    canonical = aliases.get(name, name)
    if canonical in known:
        return canonical
    close = suggest(name, known)
    hint = f"nearest known: {', '.join(close)}" if close else "no known club is similar"
    raise UnknownTeamError(f"club {name!r}{f' in {where}' if where else ''} is unknown; {hint}")
