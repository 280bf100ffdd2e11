"""The score of an openfootball match: goals after 90 minutes, in the layouts of three generations of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from features.io.sources.cells import BadRowError, parse_count


def score_of(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the goals of both sides after 90 minutes; None if the match has no score.

    The score is `score.ft`, or a bare list `score`, or in older files `score1` and `score2`.

    Raises
    ------
    BadRowError
        If it is not two numbers, or only another score is known, such as that after extra time: such a match was
        played, so it is no fixture.
    """
    score = entry.get("score")
    full_time = score.get("ft") if isinstance(score, dict) else score
    pairs = [_pair(full_time), _pair([entry.get("score1"), entry.get("score2")])]
    found = {pair for pair in pairs if pair is not None}
    if len(found) > 1:
        raise BadRowError(f"score and score1, score2 contradict each other: {pairs[0]} and {pairs[1]}")
    if not found and (others := _other_scores(entry)):
        raise BadRowError(f"no score after 90 minutes, only {', '.join(others)[:80]}: add it, or remove the others")
    return found.pop() if found else None


def _pair(value: object) -> tuple[int, int] | None:
    if _is_blank(value):
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise BadRowError(f"the score {str(value)[:40]!r} is not two numbers")
    home, away = (_goals(goals) for goals in value)
    return home, away


def _goals(value: object) -> int:
    if value is None or isinstance(value, bool):
        raise BadRowError(f"the score {value!r} is not a number")
    try:
        return parse_count(str(value)[:40], "the score")
    except (ValueError, OverflowError):  # not a number, infinite
        raise BadRowError(f"the score {str(value)[:40]!r} is not a number") from None


def _is_blank(value: object) -> bool:
    """Whether a value says nothing: null, empty, or a list of such values."""
    if isinstance(value, list):
        return all(_is_blank(part) for part in value)
    return value is None or value == "" or value == {}


def _other_scores(entry: Mapping[str, Any]) -> list[str]:
    """List the keys that tell of goals: parts of the score, those of older files, and the scorers."""
    score = entry.get("score")
    parts = [f"score.{key}" for key, value in score.items() if not _is_blank(value)] if isinstance(score, dict) else []
    old = [key for key in entry if re.match(r"(score|goals)[12]", str(key)) and not _is_blank(entry[key])]
    return parts + old
