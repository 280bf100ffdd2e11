"""Report what a source contains and which rows are rejected, without running the pipeline (`touchline inspect`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd

from features.errors import TouchlineError
from features.io.clock import Clock
from features.io.settings import Settings
from features.io.sources import SourceResult, load, names, table_reader
from features.io.sources.source_result import Defect
from features.matches import Status, as_known_at

SHOWN = 10
"""Maximum number of defect kinds and of disagreements to list; the others are counted."""


class Inspection(NamedTuple):
    """Report on the sources, and the competitions that cannot be loaded or that the pipeline would refuse."""

    text: str
    unusable: tuple[str, ...]


class Verdict(NamedTuple):
    """What the pipeline would say to a competition: lines for the report, and whether it would stop."""

    lines: tuple[str, ...] = ()
    stops: bool = False


def inspect_source(
    settings: Settings,
    slugs: Sequence[str] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
    judge: Callable[[str, SourceResult, datetime], Verdict] = lambda *_: Verdict(),
) -> Inspection:
    """Inspect the configured sources, for the given competitions or those of the settings.

    `judge` runs the checks of the pipeline, which this package does not know, on each competition that can be loaded.
    """
    as_of = Clock(settings).as_of()
    parts, unusable = [f"source: {', '.join(names(settings))}, as of {as_of:%Y-%m-%d %H:%M} UTC"], []
    reader = table_reader(settings)
    for slug in slugs or settings.competitions:
        try:
            result = load(settings, slug, on_progress=on_progress, reader=reader)
            verdict = judge(slug, result, as_of)
            parts.append("\n".join([describe(slug, result, as_of), *verdict.lines]))
            unusable += [slug] if verdict.stops else []
        except TouchlineError as error:
            parts.append(f"{slug}\n  cannot be loaded: {error}")
            unusable.append(slug)
    return Inspection("\n\n".join(parts), tuple(unusable))


def describe(slug: str, result: SourceResult, as_of: datetime) -> str:
    """Describe one competition as of a given time."""
    matches, report = as_known_at(result.matches, as_of), result.report
    lines = [
        slug,
        f"  {len(matches)} matches from {report['files']} files; {_account(report)}; "
        f"{report['repaired']} repaired, {len(report['disagreements'])} disagreements",
        _seasons(matches),
    ]
    lines += [f"  {note}" for note in report["notes"]]
    lines += [f"  not refreshed: {text}" for text in report["stale"]]
    lines += [f"  missing: {url}" for url in report["missing"]]
    lines += [f"  unusable: {text}" for text in report["unusable"]]
    lines += [f"  listed twice? {text}" for text in report.get("listed_twice", [])[:SHOWN]]
    if len(report.get("listed_twice", [])) > SHOWN:
        lines.append(f"  listed twice? {len(report['listed_twice']) - SHOWN} more")
    lines += [f"  day in doubt: {text}" for text in report["crowded"][:SHOWN]]
    if len(report["crowded"]) > SHOWN:
        lines.append(f"  day in doubt: {len(report['crowded']) - SHOWN} more")
    lines += [f"  alias table: {note}" for note in report.get("aliases", ())]
    lines += [f"  same club? {pair}: if so, add an alias to TOUCHLINE_ALIASES" for pair in report["alike"][:SHOWN]]
    if len(report["alike"]) > SHOWN:
        lines.append(f"  same club? {len(report['alike']) - SHOWN} more pairs that are less alike")
    lines += _defects(result.defects)
    lines += [
        "  {match_id}: {field} {value} ({source}) against {other_value} ({other_source}), kept {kept}".format(
            **disagreement
        )
        for disagreement in report["disagreements"][:SHOWN]
    ]
    return "\n".join(lines)


def _account(report: Mapping[str, Any]) -> str:
    """Say what became of every row."""
    other = f" and {report['other_rows']} of other competitions or seasons" if report["other_rows"] else ""
    return (
        f"{report['rows']} rows{other}: {report['accepted']} accepted, {report['rejected']} rejected, "
        f"{report['skipped']} skipped"
    )


def _defects(defects: Sequence[Defect]) -> list[str]:
    """Format one line for each kind of defect: its first row and the number of similar ones; rejected rows first."""
    lines = []
    for kind in ("rejected", "skipped", "repaired"):
        groups: dict[str, list[str]] = {}
        for defect in defects:
            if kind == ("repaired" if defect.repaired else "skipped" if defect.skipped else "rejected"):
                groups.setdefault(re.sub(r"\d+", "#", defect.reason), []).append(
                    f"{defect.file} row {defect.row}: {defect.reason}"
                )
        for first, *more in list(groups.values())[:SHOWN]:
            lines.append(f"  {kind}: {first}{f' (and {len(more)} more like it)' if more else ''}")
        if len(groups) > SHOWN:
            lines.append(f"  {kind}: {len(groups) - SHOWN} more kinds")
    return lines


def _seasons(matches: pd.DataFrame) -> str:
    """Format one line for each season: matches, clubs, upcoming matches, shares with shots and odds."""
    played = matches["status"] == Status.PLAYED
    table = pd.DataFrame(
        {
            "matches": matches.groupby("season").size(),
            "clubs": pd.concat([matches["home_team"], matches["away_team"]])
            .groupby(pd.concat([matches["season"]] * 2))
            .nunique(),
            "upcoming": (~played).groupby(matches["season"]).sum(),
            "with shots": matches["home_shots"].notna().groupby(matches["season"]).mean().map("{:.0%}".format),
            "with odds": matches["odds_home"].notna().groupby(matches["season"]).mean().map("{:.0%}".format),
            "from": matches.groupby("season")["kick_off"].min().dt.date,
            "to": matches.groupby("season")["kick_off"].max().dt.date,
        }
    )
    return "\n".join(f"  {line}" for line in table.rename_axis(None).to_string().splitlines())
