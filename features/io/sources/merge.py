"""Merge of several sources of the same matches into one table, with the list of their disagreements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.matches import PAIR, SCHEMA, Status, build_match_id, conform
from features.slugs import club_slugs

DISAGREEMENT_COLUMNS = ("match_id", "field", "source", "value", "other_source", "other_value", "kept")

_FILLED_COLUMNS = tuple(field.name for field in SCHEMA if field.nullable)
_GOALS = ("home_goals", "away_goals")


def merge(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Merge matches tables by match_id; earlier tables take precedence, later ones fill their gaps.

    A known score wins over a missing one. If one source flags an award and the scores differ, the merged match has the
    score as played and the flag. Only different scores and days count as disagreements: a source may not have a result
    or a postponement yet, and sources count shots and collect odds differently.

    Parameters
    ----------
    tables : matches tables, the one that takes precedence first; they may be empty.

    Returns
    -------
    matches : the merged matches, by kick-off.
    disagreements : table with the columns `DISAGREEMENT_COLUMNS`; `kept` is the merged value.
    """
    filled = [table for table in tables if not table.empty]
    if not filled:
        return pd.DataFrame(), pd.DataFrame(columns=list(DISAGREEMENT_COLUMNS))
    merged, disagreements = filled[0].set_index("match_id"), []
    for table in filled[1:]:
        other = _with_shared_ids(merged, table).set_index("match_id")
        common = merged.index.intersection(other.index)
        disagreements += _disagreements(merged.loc[common], other.loc[common])
        merged = _fill(merged, other, common)
    out = merged.reset_index().sort_values(["kick_off", "match_id"], kind="stable")
    return conform(out), pd.DataFrame(disagreements, columns=list(DISAGREEMENT_COLUMNS))


def _with_shared_ids(merged: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Give the matches of a table the ids of the merged matches of the same pair and day.

    If a pair meets several times at one ground, sources may number the meetings by matchday or by date. If the first
    meeting is postponed until after the second, the two numberings differ.
    """
    repeated = pd.concat([matches[matches.duplicated(PAIR)] for matches in (merged, table)])[PAIR].drop_duplicates()
    if repeated.empty:
        return table
    ids = table["match_id"].copy()
    slugs = club_slugs(
        pd.concat([merged, table]).sort_values("kick_off")[["home_team", "away_team"]].to_numpy().ravel()
    )
    for competition, season, home, away in repeated.itertuples(index=False, name=None):
        pair = (competition, season, home, away)
        meetings, known = (
            matches[(matches[PAIR] == pair).all(axis=1)].sort_values("kick_off") for matches in (table, merged)
        )
        if meetings.empty:
            continue
        id_of_day = {kick_off.floor("D"): match_id for match_id, kick_off in known["kick_off"].items()}
        shared = meetings["kick_off"].dt.floor("D").map(id_of_day)
        n_meetings = len(known) + len(meetings)
        free_ids = [
            match_id
            for n in range(1, n_meetings + 1)
            if (match_id := build_match_id(competition, season, home, away, n, slugs)) not in set(shared)
        ]
        ids[meetings.index] = [free_ids.pop(0) if pd.isna(match_id) else match_id for match_id in shared]
    return table.assign(match_id=ids)


def _fill(merged: pd.DataFrame, other: pd.DataFrame, common: pd.Index[str]) -> pd.DataFrame:
    """Fill gaps of the merged matches from another source and append the matches that only that source has."""
    out = merged.copy()
    a, b = merged.loc[common], other.loc[common]
    played = Status.PLAYED.value
    now_played = ((a["status"] != played) & (b["status"] == played)).to_numpy()
    corrected = ((a["status"] == played) & (b["status"] == played) & a["awarded"] & ~b["awarded"]).to_numpy()
    for column in _FILLED_COLUMNS:
        values = a[column].where(a[column].notna(), b[column])
        if column in _GOALS:
            values = values.where(~corrected, b[column])
        out.loc[common, column] = values
    out.loc[common, "status"] = np.where(now_played, played, a["status"])
    out.loc[common, "awarded"] = (a["awarded"] | b["awarded"]).to_numpy(bool)
    better_time = (~a["kick_off_exact"] & b["kick_off_exact"]).to_numpy()
    same_day = (a["kick_off"].dt.floor("D") == b["kick_off"].dt.floor("D")).to_numpy()
    # another day is accepted only from a source that has the result
    newer = (better_time & same_day) | now_played
    out.loc[common, "kick_off"] = a["kick_off"].where(~newer, b["kick_off"])
    out.loc[common, "kick_off_exact"] = a["kick_off_exact"].where(~newer, b["kick_off_exact"]).to_numpy(bool)
    only_in_other = other.loc[other.index.difference(merged.index, sort=False)]
    return pd.concat([out, only_in_other])


def _disagreements(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple[object, ...]]:
    """List the matches that both sources report as played, but with different scores or on different days."""
    played = ((a["status"] == Status.PLAYED) & (b["status"] == Status.PLAYED)).to_numpy()
    score = (a[list(_GOALS)].to_numpy(float) != b[list(_GOALS)].to_numpy(float)).any(axis=1) & played
    day = (a["kick_off"].dt.floor("D") != b["kick_off"].dt.floor("D")).to_numpy() & played
    disagreements: list[tuple[object, ...]] = []
    keys = a.index.to_list()
    for row in np.flatnonzero(score):
        x, y = a.iloc[row], b.iloc[row]
        value, other = (f"{match.home_goals:.0f}-{match.away_goals:.0f}" for match in (x, y))
        merged_value = other if x.awarded and not y.awarded else value
        disagreements.append((keys[row], "score", x.source, value, y.source, other, merged_value))
    for row in np.flatnonzero(day):
        x, y = a.iloc[row], b.iloc[row]
        value, other = (match.kick_off.date().isoformat() for match in (x, y))
        disagreements.append((keys[row], "day", x.source, value, y.source, other, value))
    return disagreements
