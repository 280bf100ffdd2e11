"""Sources of results and fixtures: `load` is the one way in."""

from __future__ import annotations

from features.errors import InvalidInput
from features.io.settings import Settings
from features.io.sources import bundled
from features.io.sources.result import QUARANTINE_SCHEMA, SourceResult, quarantine_table

__all__ = ["QUARANTINE_SCHEMA", "SourceResult", "competitions", "load"]


def competitions(settings: Settings) -> tuple[str, ...]:
    """Slugs of the competitions that the configured source can be asked for."""
    _check(settings)
    return (bundled.COMPETITION,)


def load(settings: Settings, competition: str) -> SourceResult:
    """Matches of one competition from the configured source, everything it knows: callers apply `as_known_at`.

    Raises
    ------
    SourceError
        If a source cannot be read or a whole file of it is unusable.
    InvalidInput
        If the source is unknown or does not have the competition.
    """
    if competition not in competitions(settings):
        raise InvalidInput(f"source {settings.source!r} does not have {competition!r}")
    matches = bundled.load()
    report = {"source": settings.source, "files": 1, "rows": len(matches), "quarantined": 0, "repaired": 0}
    return SourceResult(matches, quarantine_table([]), report)


def _check(settings: Settings) -> None:
    if settings.source != "bundled":
        raise InvalidInput(f"source {settings.source!r} is unknown; known: bundled")
