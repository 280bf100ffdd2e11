"""Odds of home, draw and away, decimal, fractional or American; they are kept only as a plausible book."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from features.io.sources.cells import is_empty

MIN_BOOK, MAX_BOOK = 0.98, 1.5
"""Range of the sum of the inverse odds; real books sum to 1.0 to 1.3, and anything else is another notation."""

MAX_ODDS = 2000.0

_DECIMAL = re.compile(r"(\d{1,4})(?:[.,](\d{1,15}))?", re.ASCII)
_FRACTION = re.compile(r"(\d{1,4})\s*/\s*(\d{1,4})", re.ASCII)
_AMERICAN = re.compile(r"([+-]?)(\d{3,5})(?:\.0*)?", re.ASCII)


class OddsTriple(NamedTuple):
    """Decimal odds of home, draw and away, or None, and what there is to say about the cells."""

    values: tuple[float, float, float] | None
    reason: str = ""


def parse_triple(texts: Sequence[str], what: str = "odds") -> OddsTriple:
    """Parse three cells as one book; without reason if they are decimal, or all empty."""
    if all(map(is_empty, texts)):
        return OddsTriple(None)
    shown = f"{what} {'/'.join(text[:12] for text in texts)}"
    if any(map(is_empty, texts)):
        return OddsTriple(None, f"{shown} are not complete: ignored")
    american = _american(texts)
    values = american or [_decimal(text) or _fraction(text) for text in texts]
    home, draw, away = values
    if home is None or draw is None or away is None:
        return OddsTriple(None, f"{shown} are not decimal odds: ignored")
    if not all(1.0 < value < MAX_ODDS for value in (home, draw, away)):
        return OddsTriple(None, f"{shown} are not decimal odds between 1 and {MAX_ODDS:.0f}: ignored")
    book = 1 / home + 1 / draw + 1 / away
    if not MIN_BOOK <= book <= MAX_BOOK:
        return OddsTriple(None, f"{shown} are not decimal odds of one book, their inverses sum to {book:.2f}: ignored")
    reason = f"{shown} are American odds: read as {home:.2f}/{draw:.2f}/{away:.2f}" if american else ""
    return OddsTriple((home, draw, away), reason)


def _american(texts: Sequence[str]) -> list[float | None] | None:
    """Convert American odds; None unless all three have at least three digits and one of them a sign."""
    found = [_AMERICAN.fullmatch(text.strip().replace("−", "-")) for text in texts]
    if not all(found) or not any(match[1] for match in found if match):
        return None
    amounts = [(match[1], int(match[2])) for match in found if match]
    return [1 + (100 / amount if sign == "-" else amount / 100) if amount else None for sign, amount in amounts]


def _decimal(text: str) -> float | None:
    found = _DECIMAL.fullmatch(text.strip())
    return float(f"{found[1]}.{found[2] or 0}") if found else None


def _fraction(text: str) -> float | None:
    """Convert `11/10` or `evens` to decimal odds."""
    if text.strip().casefold() in ("evens", "evs"):
        return 2.0
    found = _FRACTION.fullmatch(text.strip())
    return 1 + int(found[1]) / int(found[2]) if found and int(found[2]) else None
