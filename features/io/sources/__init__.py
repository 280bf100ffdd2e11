"""Sources of results and fixtures: `load` is the one way in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from features.competitions import CATALOGUE
from features.errors import InvalidInputError, SourceError
from features.io.settings import Settings
from features.io.sources import bundled, files
from features.io.sources.archive import FileArchive, is_backdated
from features.io.sources.club_aliases import load_aliases, similar_names
from features.io.sources.merge import merge
from features.io.sources.rows import season_window
from features.io.sources.source_result import QUARANTINE_SCHEMA, Defect, SourceResult, quarantine_table
from features.io.store import Lake
from features.teams import suggest

__all__ = ["QUARANTINE_SCHEMA", "SourceResult", "competitions", "load", "names"]

KNOWN = ("bundled", "football_data", "openfootball", "files")


def names(settings: Settings) -> tuple[str, ...]:
    """The configured sources, the one that takes precedence first; raises InvalidInputError naming the known ones."""
    found = tuple(name.strip() for name in settings.source.split(",") if name.strip())
    if unknown := [name for name in found if name not in KNOWN]:
        raise InvalidInputError(f"source {unknown[0]!r} is unknown; known: {', '.join(KNOWN)}")
    if not found:
        raise InvalidInputError(f"no source is set; known: {', '.join(KNOWN)}")
    return found


def competitions(settings: Settings) -> tuple[str, ...]:
    """Slugs of the competitions that the configured sources can be asked for."""
    offered: dict[str, None] = {}
    for name in names(settings):
        if name == "bundled":
            offered[bundled.COMPETITION] = None
        elif name == "files":
            offered |= dict.fromkeys(files.competitions(settings.files, settings.files_columns))
        else:
            offered |= dict.fromkeys(one.slug for one in CATALOGUE if getattr(one, name) is not None)
    return tuple(offered)


def load(
    settings: Settings,
    competition: str,
    now: datetime | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> SourceResult:
    """Matches of one competition from the configured sources, everything they know: callers apply `as_known_at`.

    Parameters
    ----------
    now : the moment of the load, default the setting `as_of` or the real time: it tells which season is running, and
        where it lies in the past, files are taken as they had been fetched by then.
    say : told each file as it is fetched.

    Raises
    ------
    SourceError
        If a source cannot be read or a whole file of it is unusable.
    InvalidInputError
        If a source is unknown or none has the competition.
    """
    if competition not in (offered := competitions(settings)):
        close = suggest(competition, offered) or offered[:3]
        raise InvalidInputError(
            f"source {settings.source!r} does not have {competition!r}; nearest: {', '.join(close)}"
        )
    clock = datetime.now(UTC)
    moment = now or settings.as_of or clock
    tables, defects, reports = [], [], []
    for name in names(settings):
        table, found, report = _load_source(name, settings, competition, moment, clock, on_progress)
        tables.append(table)
        defects += found
        reports.append(report)
    matches, disagreements = merge(tables)
    if not matches.empty and is_backdated(moment, clock):  # then nobody knew who would play in a later season
        begun = matches["season"].map(lambda season: season_window(season)[0] <= moment.date())
        matches = matches[begun].reset_index(drop=True)
    if matches.empty:
        raise SourceError(f"source {settings.source!r} has no match of {competition!r} by {moment:%Y-%m-%d}")
    report = _report(reports, defects, matches, disagreements)
    if not load_aliases(settings.aliases).is_exhaustive(competition):
        report["alike"] = [f"{one} / {other}" for one, other in similar_names(matches)]
    return SourceResult(matches, quarantine_table(defects), report)


def _load_source(
    name: str, settings: Settings, competition: str, now: datetime, clock: datetime, on_progress: Callable[[str], None]
) -> tuple[pd.DataFrame, list[Defect], dict[str, Any]]:
    """Matches, defects and report of one source; nothing where it does not have the competition."""
    if name == "bundled":
        table = bundled.load() if competition == bundled.COMPETITION else pd.DataFrame()
        return table, [], {"source": name, "files": 1, "rows": len(table)}
    if name == "files":
        found = files.contents(settings.files, FileArchive(Lake(settings.lake_root)), now, clock)
        table, defects, rows = files.parse_all(
            found, competition, settings.files_columns, load_aliases(settings.aliases)
        )
        return table, defects, {"source": name, "files": len(found), "rows": rows}
    from features.io.sources import remote  # httpx is not installed where only bundled data is read

    return remote.load(name, settings, competition, now, clock, on_progress)


def _report(
    reports: list[dict[str, Any]], defects: list[Defect], matches: pd.DataFrame, disagreements: pd.DataFrame
) -> dict[str, Any]:
    repaired = sum(defect.repaired for defect in defects)
    return {
        "source": ", ".join(one["source"] for one in reports),
        "files": sum(one["files"] for one in reports),
        "rows": sum(one["rows"] for one in reports),
        "matches": len(matches),
        "quarantined": len(defects) - repaired,
        "repaired": repaired,
        "disagreements": disagreements.to_dict("records"),
        "alike": [],
        "stale": [text for one in reports for text in one.get("stale", [])],
        "missing": [text for one in reports for text in one.get("missing", [])],
        "changed": [text for one in reports for text in one.get("changed", [])],
    }
