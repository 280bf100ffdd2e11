"""What the status of a match in a source means for its score: a closed list, because an unknown word may void it."""

from __future__ import annotations

import re
from enum import Enum, auto

from features.io.sources.cells import BadRowError


class Standing(Enum):
    """Whether the score of a match counts."""

    ORDINARY = auto()
    """The match is played if it has a score, otherwise it is to come."""
    AWARDED = auto()
    """The score was decided by a tribunal."""
    UNFINISHED = auto()
    """The match is to come or under way: a score is not the final one."""
    POSTPONED = auto()
    """The match has to be played, or played to its end, on another day: a score is not the final one."""
    VOID = auto()
    """The match never counts."""


_WORDS = {
    Standing.ORDINARY: "played finished ended final complete completed ft aet pen delayed full_time fulltime",
    Standing.AWARDED: "awarded awd walkover w/o wo forfeit forfeited",
    Standing.UNFINISHED: "scheduled timed fixture ns tbd tba live paused ht not_started in_play in_progress half_time",
    Standing.POSTPONED: "postponed ppd pst suspended susp interrupted",
    Standing.VOID: "cancelled canceled canc can annulled void voided abandoned abd expunged",
}
_STANDINGS = {word.replace("_", " "): standing for standing, words in _WORDS.items() for word in words.split()}


def standing_of(status: object) -> Standing:
    """Read a status in any case, with or without a note such as `awarded; originally 2-0`.

    Raises
    ------
    BadRowError
        If the status is not in the list. `replay` is not: it does not say whether the score is of the annulled match.
    """
    if status is None or status == "":
        return Standing.ORDINARY
    text = " ".join(re.split(r"[\s_.\[\]-]+", status.casefold())).strip() if isinstance(status, str) else ""
    for part in (text, re.split(r"[;,:(]", text)[0].strip(), text.partition(" ")[0]):
        if part in _STANDINGS:
            return _STANDINGS[part]
    raise BadRowError(f"the status {str(status)[:40]!r} is unknown: it may mean that the score does not count")
