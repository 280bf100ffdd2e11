"""Sources of results and fixtures; `load` is the entry point."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from features.competitions import COMPETITIONS
from features.errors import InvalidInputError, SourceError
from features.io.formats import load_formats
from features.io.settings import Settings
from features.io.sources import bundled, files
from features.io.sources.alike_names import similar_names
from features.io.sources.archive import FileArchive, is_backdated
from features.io.sources.club_aliases import load_aliases
from features.io.sources.column_map import ColumnSetting
from features.io.sources.crowded_days import crowded_days
from features.io.sources.merge import merge
from features.io.sources.own_table import TableReader
from features.io.sources.repeated_listings import single_listings
from features.io.sources.source_result import QUARANTINE_SCHEMA, Defect, SourceResult, quarantine_table
from features.io.store import Lake
from features.matches import ORIGIN
from features.seasons import season_window
from features.teams import suggest

__all__ = ["QUARANTINE_SCHEMA", "SourceResult", "TableReader", "competitions", "load", "names", "table_reader"]

KNOWN = ("bundled", "football_data", "openfootball", "files")


def names(settings: Settings) -> tuple[str, ...]:
    """List the configured sources, the one that takes precedence first.

    Raises
    ------
    InvalidInputError
        If a source is unknown or none is configured; the message lists the known ones.
    """
    configured = tuple(name.strip() for name in settings.source.split(",") if name.strip())
    if unknown := [name for name in configured if name not in KNOWN]:
        raise InvalidInputError(f"unknown source {unknown[0]!r} in TOUCHLINE_SOURCE; known: {', '.join(KNOWN)}")
    if not configured:
        raise InvalidInputError(f"TOUCHLINE_SOURCE names no source; known: {', '.join(KNOWN)}")
    return configured


def table_reader(settings: Settings) -> TableReader:
    """Return a reader of the user's files; loads that share it read each file once and keep its rows in memory.

    Messages suggest the competition that the user follows, if it is one.
    """
    if "files" not in names(settings):
        return TableReader(ColumnSetting())
    named = settings.competitions if "competitions" in settings.model_fields_set else ()
    return TableReader(ColumnSetting.parse(settings.files_columns, named[0] if len(named) == 1 else None))


def competitions(settings: Settings, reader: TableReader | None = None) -> tuple[str, ...]:
    """List the slugs of the competitions that the configured sources offer."""
    offered: dict[str, None] = {}
    for name in names(settings):
        if name == "bundled":
            offered[bundled.COMPETITION] = None
        elif name == "files":
            offered |= dict.fromkeys(
                files.competitions(settings.files, reader or table_reader(settings), settings.aliases)
            )
        else:
            offered |= dict.fromkeys(league.slug for league in COMPETITIONS if getattr(league, name) is not None)
    return tuple(offered)


def load(
    settings: Settings,
    competition: str,
    now: datetime | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
    reader: TableReader | None = None,
) -> SourceResult:
    """Load and merge the matches of one competition from the configured sources.

    The result contains everything that the sources have, including later results: callers apply `as_known_at`.

    Parameters
    ----------
    competition : slug, one of `competitions`.
    now : time of the load; default is the setting `as_of`, otherwise the real time. It determines the current season.
        If it is in the past, files are read from the archive as they had been fetched by then.
    on_progress : called with a line for each file that is fetched.
    reader : the `table_reader` that several loads share.

    Raises
    ------
    SourceError
        If a source cannot be read, a whole file of it is unusable, or there is no match by `now`.
    InvalidInputError
        If a source is unknown or none offers the competition.
    """
    reader = reader or table_reader(settings)
    if competition not in (offered := competitions(settings, reader)):
        close = suggest(competition, offered) or offered[:3]
        offer = f"it offers {', '.join(close)}: set TOUCHLINE_COMPETITIONS" if close else "it has no rows"
        raise InvalidInputError(f"source {settings.source!r} does not offer {competition!r}; {offer}")
    clock = datetime.now(UTC)
    as_of = now or settings.as_of or clock
    tables, defects, reports = [], [], []
    doubts: list[str] = []
    own_rules = load_formats(settings.formats)
    for name in names(settings):
        table, source_defects, report = _load_source(name, settings, competition, as_of, clock, on_progress, reader)
        if not table.empty:
            table = _with_origins(table)
            table, repeated, unclear = single_listings(table, own_rules)
            source_defects = [*source_defects, *repeated]
            doubts += unclear
        tables.append(table)
        defects += source_defects
        reports.append(report)
    matches, disagreements = merge(tables)
    if not matches.empty and is_backdated(as_of, clock):  # the clubs of later seasons were not known then
        begun = matches["season"].map(lambda season: season_window(season)[0] <= as_of.date())
        matches = matches[begun].reset_index(drop=True)
    if matches.empty:
        raise SourceError(f"source {settings.source!r} has no match of {competition!r} by {as_of:%Y-%m-%d}")
    report = _report(reports, defects, matches, disagreements) | {"listed_twice": doubts}
    aliases = load_aliases(settings.aliases)
    report["aliases"] = aliases.notes(competition, offered)
    if not aliases.is_exhaustive(competition):
        report["alike"] = [f"{name} / {other}" for name, other in similar_names(matches)]
    known = matches[matches[ORIGIN].notna()] if ORIGIN in matches else matches.iloc[:0].assign(**{ORIGIN: ""})
    origins = dict(zip(known["match_id"], known[ORIGIN], strict=True))
    matches = matches.drop(columns=ORIGIN, errors="ignore")
    return SourceResult(matches, quarantine_table(defects), report, origins, defects)


def _with_origins(table: pd.DataFrame) -> pd.DataFrame:
    """Add the file and row of each match in words, where the reader knows them."""
    if not {"file", "row"} <= set(table.columns):
        return table
    return table.assign(**{ORIGIN: table["file"].astype("str") + " row " + table["row"].astype("str")})


def _load_source(
    name: str,
    settings: Settings,
    competition: str,
    now: datetime,
    clock: datetime,
    on_progress: Callable[[str], None],
    reader: TableReader,
) -> tuple[pd.DataFrame, list[Defect], dict[str, Any]]:
    """Load the matches, defects and report of one source; no matches if it does not offer the competition."""
    if name == "bundled":
        table = bundled.load() if competition == bundled.COMPETITION else pd.DataFrame()
        return table, [], {"source": name, "files": 1, "rows": len(table)}
    if name == "files":
        contents = files.contents(settings.files, FileArchive(Lake(settings.lake_root)), now, clock, settings.aliases)
        parsed = files.parse_all(contents, competition, reader, load_aliases(settings.aliases))
        passed_over = files.list_files(settings.files).passed_over
        report = {
            "source": name,
            "files": len(contents) - len(parsed.unusable),
            "rows": parsed.rows,
            "other_rows": parsed.other_rows,
            "notes": [*(f"passed over {sentence}" for sentence in passed_over), *parsed.notes],
            "unusable": parsed.unusable,
        }
        return parsed.matches, parsed.defects, report
    from features.io.sources import remote  # imported here: the other sources do not need httpx

    return remote.load(name, settings, competition, now, clock, on_progress)


def _report(
    reports: list[dict[str, Any]], defects: list[Defect], matches: pd.DataFrame, disagreements: pd.DataFrame
) -> dict[str, Any]:
    """Sum up the reports of the sources."""
    repaired, skipped = (sum(getattr(defect, kind) for defect in defects) for kind in ("repaired", "skipped"))
    rows, quarantined = sum(source["rows"] for source in reports), len(defects) - repaired
    return {
        "source": ", ".join(source["source"] for source in reports),
        "files": sum(source["files"] for source in reports),
        "rows": rows,
        "other_rows": sum(source.get("other_rows", 0) for source in reports),
        "accepted": rows - quarantined,
        "matches": len(matches),
        "quarantined": quarantined,
        "rejected": quarantined - skipped,
        "skipped": skipped,
        "repaired": repaired,
        "disagreements": disagreements.to_dict("records"),
        "crowded": crowded_days(matches),
        "alike": [],
        "aliases": [],
        "stale": [text for source in reports for text in source.get("stale", [])],
        "missing": [text for source in reports for text in source.get("missing", [])],
        "unusable": [text for source in reports for text in source.get("unusable", [])],
        "notes": [text for source in reports for text in source.get("notes", [])],
        "changed": [text for source in reports for text in source.get("changed", [])],
    }
