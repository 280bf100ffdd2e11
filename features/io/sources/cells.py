"""Typed cells: words for an empty cell, flags, counts and club names; whatever is unknown is an error of the row."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_GOALS = 50
"""More goals than any side scored in a match that counts (46, Vanuatu in 2015): a higher number is a typing error."""

EMPTY_WORDS = frozenset({"", "-", "–", "—", "na", "n/a", "#n/a", "<na>", "nan", "nat", "none", "null"})
"""What spreadsheets and data frames write into a cell without value, in lower case."""

TRUE_WORDS = frozenset({"1", "1.0", "true", "t", "yes", "y"})
FALSE_WORDS = frozenset({"0", "0.0", "false", "f", "no", "n"})

_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,15})?(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"\+?(\d{1,6})(?:\.0*)?", re.ASCII)


class BadRowError(Exception):
    """A row cannot be used; the message says why."""


def is_empty(text: str) -> bool:
    """Whether a cell has no value: it is blank or one of `EMPTY_WORDS`."""
    return not text or (text.isspace() if len(text) >= 12 else _is_empty_word(text))


@lru_cache(maxsize=4096)
def _is_empty_word(text: str) -> bool:
    return text.strip().casefold() in EMPTY_WORDS


def quoted(text: str) -> str:
    """Quote a cell for a message, shortened if it is long."""
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


@lru_cache(maxsize=1024)
def parse_flag(text: str, column: str) -> bool:
    """Parse a flag; an empty cell means no.

    Raises
    ------
    BadRowError
        If the word is none of `TRUE_WORDS`, `FALSE_WORDS` and `EMPTY_WORDS`.
    """
    word = text.strip().casefold()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS or word in EMPTY_WORDS:
        return False
    raise BadRowError(f"{column} {quoted(text)} is neither true nor false; write true, false or nothing")


@lru_cache(maxsize=4096)
def parse_count(text: str, what: str, most: int = MAX_GOALS) -> int:
    """Parse a whole number from 0 to `most`; `2` and `2.0` are the same number."""
    count = _COUNT.fullmatch(text.strip())
    if count is not None and int(count[1]) <= most:
        return int(count[1])
    if _NUMBER.fullmatch(text.strip()) is None:
        raise BadRowError(f"{what} {quoted(text)} is not a number")
    raise BadRowError(f"{what} {quoted(text)} is not a whole number from 0 to {most}")
