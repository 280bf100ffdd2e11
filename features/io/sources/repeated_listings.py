"""Matches that a source lists twice: a moved match stands on its old and on its new day."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pandas as pd

from features.io.sources.source_result import Defect
from features.league_rules import LeagueRules, rules_of
from features.matches import PAIR, Status, conform, with_match_ids
from features.table_matches import MOSTLY_PLAYED

Listing = Mapping[Hashable, Any]
"""Columns of a match, and `index`, its row in the table."""

SAME_DAYS = timedelta(days=3)
"""A fixture and a result of the same pair within this time are the same match."""
FEW_DAYS = timedelta(days=10)
"""Two results of the same pair with the same score within this time may be one match, whatever the format."""


def single_listings(
    table: pd.DataFrame, own: Mapping[str, LeagueRules] | None = None
) -> tuple[pd.DataFrame, list[Defect], list[str]]:
    """Keep one listing of each match where the format says how often a pair meets, and number the meetings.

    Of several listings, a result is kept rather than a fixture, otherwise the last one by day. Meetings after both
    clubs have finished their regular matches are play-offs, and are kept.

    Parameters
    ----------
    table : matches of one competition and one source, with the columns `file` and `row` of each, if known.
    own : rules by slug that a user has entered.

    Returns
    -------
    The matches with their ids, a defect for each listing that is left out, and sentences about matches that may be
    listed twice in seasons whose format is unknown.
    """
    defects: list[Defect] = []
    doubts: list[str] = []
    left_out: list[int] = []
    table = table.reset_index(drop=True)
    repeated = table[table.duplicated(PAIR, keep=False)]
    for (competition, name), pairs in repeated.groupby(["competition", "season"], sort=False):
        meetings = rules_of(str(competition), str(name), own).meetings
        if meetings is None:
            for meetings_of_pair in _by_pair(pairs):
                announced = _announced(meetings_of_pair)
                left_out += announced
                doubts += _doubts([listing for listing in meetings_of_pair if listing["index"] not in announced])
            continue
        season = table[(table["competition"] == competition) & (table["season"] == name)]
        for _, listings in pairs.groupby(["home_team", "away_team"], sort=False):
            listed = listings.sort_values("kick_off", kind="stable")
            for row, kept in _surplus(listed, season, meetings):
                left_out.append(row)
                if not _is_announcement(table.iloc[row], table.iloc[kept]):
                    defects.append(_defect(table.iloc[row], table.iloc[kept], meetings))
    return conform(with_match_ids(table.drop(index=left_out))), defects, doubts


def _surplus(listed: pd.DataFrame, season: pd.DataFrame, meetings: int) -> list[tuple[int, int]]:
    """List the listings of one pair that are one too many, each with the one that is kept."""
    if len(listed) <= meetings:
        return []
    later = listed.index[meetings:]
    play_offs = {row for row in later if _is_play_off(listed.loc[row], season, meetings)}
    candidates = listed[~listed.index.isin(play_offs)]
    fixtures = candidates.index[candidates["status"] != Status.PLAYED]
    results = candidates.index.difference(fixtures, sort=False)
    surplus = [*fixtures, *results][: max(len(candidates) - meetings, 0)]
    kept = candidates.index.difference(surplus, sort=False)
    return [(int(row), int(kept[-1])) for row in surplus]


def _is_play_off(listing: pd.Series, season: pd.DataFrame, meetings: int) -> bool:
    """Whether a further meeting comes after the regular matches of both clubs, most of which are played."""
    regular = season[season["kick_off"] < listing["kick_off"]]
    regular = regular[(regular["status"] == Status.PLAYED) & ~regular.duplicated(["home_team", "away_team"])]
    clubs = season["home_team"].nunique()
    usual = 2 * meetings * (clubs - 1)
    first = season.sort_values("kick_off", kind="stable").groupby(["home_team", "away_team"]).head(meetings)
    for club in (listing["home_team"], listing["away_team"]):
        own = (first["home_team"] == club) | (first["away_team"] == club)
        if (first.loc[own, "kick_off"] >= listing["kick_off"]).any():
            return False
        played = ((regular["home_team"] == club) | (regular["away_team"] == club)).sum() * meetings
        if clubs < 3 or played < MOSTLY_PLAYED * usual:
            return False
    return True


def _by_pair(listings: pd.DataFrame) -> Iterable[list[Listing]]:
    """Group listings by pair, the earliest first; as dicts, because there may be thousands of pairs."""
    columns = [*PAIR, "kick_off", "status", "home_goals", "away_goals", "file", "row"]
    ordered = listings.reindex(columns=columns).sort_values("kick_off", kind="stable")
    pairs: dict[tuple[str, str], list[Listing]] = {}
    for listing in ordered.assign(index=ordered.index).to_dict("records"):
        pairs.setdefault((listing["home_team"], listing["away_team"]), []).append(listing)
    return pairs.values()


def _announced(listed: Sequence[Listing]) -> list[int]:
    """List the fixtures of a pair that are a result of nearly the same day by now."""
    results = [listing["kick_off"] for listing in listed if listing["status"] == Status.PLAYED]
    fixtures = [listing for listing in listed if listing["status"] != Status.PLAYED]
    return [
        listing["index"]
        for listing in fixtures
        if any(abs(listing["kick_off"] - result) <= SAME_DAYS for result in results)
    ]


def _is_announcement(listing: pd.Series, kept: pd.Series) -> bool:
    """Whether a fixture of a file of fixtures is the result of another file by now, which is no defect."""
    return (
        listing["status"] != Status.PLAYED
        and kept["status"] == Status.PLAYED
        and listing.get("file") != kept.get("file")
        and abs(kept["kick_off"] - listing["kick_off"]) <= SAME_DAYS
    )


def _doubts(listed: Sequence[Listing]) -> list[str]:
    """Say which listings of a pair may be one match, although the format may have several meetings."""
    sentences = []
    for one, other in pairwise(listed):
        gap = other["kick_off"] - one["kick_off"]
        both = one["status"] == other["status"] == Status.PLAYED
        if both and gap <= FEW_DAYS and _score(one) == _score(other):
            sentences.append(f"{_name(one)}: {_score(one)} on {_where(one)} and on {_where(other)}")
        elif one["status"] != Status.PLAYED and other["status"] == Status.PLAYED:
            sentences.append(f"{_name(one)}: a fixture on {_where(one)}, a result on {_where(other)}")
    return sentences


def _defect(listing: pd.Series, kept: pd.Series, meetings: int) -> Defect:
    times = "once" if meetings == 1 else f"{meetings} times"
    reason = (
        f"{_name(listing)} {_score(listing)} on {listing['kick_off']:%Y-%m-%d} is listed again: a pair meets {times} "
        f"at each ground, kept {_score(kept)} on {_where(kept)}"
    )
    content = str({name: str(listing[name]) for name in ("kick_off", "home_team", "away_team", "status")})
    return Defect(str(listing["source"]), str(listing.get("file", "")), int(listing.get("row", 0)), reason, content)


def _name(listing: pd.Series | Listing) -> str:
    return f"{listing['home_team']} against {listing['away_team']}"


def _score(listing: pd.Series | Listing) -> str:
    if listing["status"] != Status.PLAYED:
        return "(no result)"
    return f"{listing['home_goals']:.0f}-{listing['away_goals']:.0f}"


def _where(listing: pd.Series | Listing) -> str:
    day = f"{listing['kick_off']:%Y-%m-%d}"
    file, row = listing.get("file"), listing.get("row")
    return f"{day} ({file} row {row})" if isinstance(file, str) and file else day
