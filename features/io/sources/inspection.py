"""Report what a source contains and which rows are rejected, without running the pipeline (`touchline inspect`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from features.errors import TouchlineError
from features.io.clock import Clock
from features.io.settings import Settings
from features.io.sources import SourceResult, load, names
from features.matches import Status, as_known_at

SHOWN = 10
"""Maximum number of defect kinds and of disagreements to list; the others are counted."""


class Inspection(NamedTuple):
    """Report on the sources, and the competitions that cannot be loaded."""

    text: str
    unusable: tuple[str, ...]


def inspect_source(
    settings: Settings, slugs: Sequence[str] | None = None, on_progress: Callable[[str], None] = lambda _: None
) -> Inspection:
    """Inspect the configured sources, for the given competitions or those of the settings."""
    as_of = Clock(settings).as_of()
    parts, unusable = [f"source: {', '.join(names(settings))}, as of {as_of:%Y-%m-%d %H:%M} UTC"], []
    for slug in slugs or settings.competitions:
        try:
            parts.append(describe(slug, load(settings, slug, on_progress=on_progress), as_of))
        except TouchlineError as error:
            parts.append(f"{slug}\n  cannot be loaded: {error}")
            unusable.append(slug)
    return Inspection("\n\n".join(parts), tuple(unusable))


def describe(slug: str, result: SourceResult, as_of: datetime) -> str:
    """Describe one competition as of a given time."""
    matches, report = as_known_at(result.matches, as_of), result.report
    lines = [
        slug,
        f"  {len(matches)} matches from {report['files']} files, {report['rows']} rows; "
        f"{report['quarantined']} rejected, {report['repaired']} repaired, "
        f"{len(report['disagreements'])} disagreements",
        _seasons(matches),
    ]
    lines += [f"  not refreshed: {text}" for text in report["stale"]]
    lines += [f"  missing: {url}" for url in report["missing"]]
    lines += [f"  same club? {pair}: if so, add an alias to TOUCHLINE_ALIASES" for pair in report["alike"]]
    lines += _defects(result.quarantine)
    lines += [
        "  {match_id}: {field} {value} ({source}) against {other_value} ({other_source}), kept {kept}".format(
            **disagreement
        )
        for disagreement in report["disagreements"][:SHOWN]
    ]
    return "\n".join(lines)


def _defects(quarantine: pd.DataFrame) -> list[str]:
    """Format one line for each kind of defect: its first row and the number of similar ones; rejected rows first."""
    lines = []
    for kind, repaired in (("rejected", False), ("repaired", True)):
        groups: dict[str, list[str]] = {}
        for defect in quarantine[quarantine["repaired"] == repaired].itertuples():
            groups.setdefault(re.sub(r"\d+", "#", str(defect.reason)), []).append(
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
            "clubs": matches.groupby("season")["home_team"].nunique(),
            "upcoming": (~played).groupby(matches["season"]).sum(),
            "with shots": matches["home_shots"].notna().groupby(matches["season"]).mean().map("{:.0%}".format),
            "with odds": matches["odds_home"].notna().groupby(matches["season"]).mean().map("{:.0%}".format),
            "from": matches.groupby("season")["kick_off"].min().dt.date,
            "to": matches.groupby("season")["kick_off"].max().dt.date,
        }
    )
    return "\n".join(f"  {line}" for line in table.rename_axis(None).to_string().splitlines())
