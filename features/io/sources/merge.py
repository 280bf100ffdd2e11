"""Several sources of the same matches made into one table, with what they disagree on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.matches import PAIR, SCHEMA, Status, build_match_id, conform

DISAGREEMENT_COLUMNS = ("match_id", "field", "source", "value", "other_source", "other_value", "kept")

_FILLED = tuple(field.name for field in SCHEMA if field.nullable)
_GOALS = ("home_goals", "away_goals")


def merge(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Merge matches tables per match_id; the earlier table takes precedence, the later ones fill what it lacks.

    A score beats no score. Where one source flags an award and scores differ, the score as played is kept and the
    award flagged. Only scores and days are told as disagreements: that one source has not heard yet of a result or a
    postponement is no contradiction, and shots and odds differ by how they were counted or collected.

    Returns
    -------
    The merged matches, and the disagreements with the columns `DISAGREEMENT_COLUMNS`.
    """
    given = [table for table in tables if not table.empty]
    if not given:
        return pd.DataFrame(), pd.DataFrame(columns=list(DISAGREEMENT_COLUMNS))
    merged, found = given[0].set_index("match_id"), []
    for table in given[1:]:
        other = _same_statistics(merged, table).set_index("match_id")
        common = merged.index.intersection(other.index)
        found += _disagreements(merged.loc[common], other.loc[common])
        merged = _filled(merged, other, common)
    out = merged.reset_index().sort_values(["kick_off", "match_id"], kind="stable")
    return conform(out), pd.DataFrame(found, columns=list(DISAGREEMENT_COLUMNS))


def _same_statistics(mine: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A table whose matches bear the ids that those of the same pair and day bear already.

    One source counts the meetings at a ground by matchday, another by date: a first meeting that is played last is
    then the first to the one and the last to the other.
    """
    again = pd.concat([one[one.duplicated(PAIR)] for one in (mine, table)])[PAIR].drop_duplicates()
    if again.empty:
        return table
    ids = table["match_id"].copy()
    for competition, season, home, away in again.itertuples(index=False, name=None):
        pair = (competition, season, home, away)
        theirs, ours = (one[(one[PAIR] == pair).all(axis=1)].sort_values("kick_off") for one in (table, mine))
        if theirs.empty:
            continue
        days = {moment.floor("D"): name for name, moment in ours["kick_off"].items()}
        same = theirs["kick_off"].dt.floor("D").map(days)
        most = len(ours) + len(theirs)
        free = [
            one
            for n in range(1, most + 1)
            if (one := build_match_id(competition, season, home, away, n)) not in set(same)
        ]
        ids[theirs.index] = [free.pop(0) if pd.isna(one) else one for one in same]
    return table.assign(match_id=ids)


def _filled(mine: pd.DataFrame, other: pd.DataFrame, common: pd.Index[str]) -> pd.DataFrame:
    out = mine.copy()
    a, b = mine.loc[common], other.loc[common]
    played = Status.PLAYED.value
    take = ((a["status"] != played) & (b["status"] == played)).to_numpy()
    corrected = ((a["status"] == played) & (b["status"] == played) & a["awarded"] & ~b["awarded"]).to_numpy()
    for column in _FILLED:
        values = a[column].where(a[column].notna(), b[column])
        if column in _GOALS:
            values = values.where(~corrected, b[column])
        out.loc[common, column] = values
    out.loc[common, "status"] = np.where(take, played, a["status"])
    out.loc[common, "awarded"] = (a["awarded"] | b["awarded"]).to_numpy(bool)
    better_time = (~a["kick_off_exact"] & b["kick_off_exact"]).to_numpy()
    same_day = (a["kick_off"].dt.floor("D") == b["kick_off"].dt.floor("D")).to_numpy()
    # a match moved to another day is news only from the source that knows the result
    newer = (better_time & same_day) | take
    out.loc[common, "kick_off"] = a["kick_off"].where(~newer, b["kick_off"])
    out.loc[common, "kick_off_exact"] = a["kick_off_exact"].where(~newer, b["kick_off_exact"]).to_numpy(bool)
    fresh = other.loc[other.index.difference(mine.index, sort=False)]
    return pd.concat([out, fresh])


def _disagreements(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple[object, ...]]:
    """Both played with another score, or on another day."""
    played = ((a["status"] == Status.PLAYED) & (b["status"] == Status.PLAYED)).to_numpy()
    score = (a[list(_GOALS)].to_numpy(float) != b[list(_GOALS)].to_numpy(float)).any(axis=1) & played
    day = (a["kick_off"].dt.floor("D") != b["kick_off"].dt.floor("D")).to_numpy() & played
    found: list[tuple[object, ...]] = []
    keys = a.index.to_list()
    for row in np.flatnonzero(score):
        x, y = a.iloc[row], b.iloc[row]
        mine, theirs = (f"{one.home_goals:.0f}-{one.away_goals:.0f}" for one in (x, y))
        kept = theirs if x.awarded and not y.awarded else mine
        found.append((keys[row], "score", x.source, mine, y.source, theirs, kept))
    for row in np.flatnonzero(day):
        x, y = a.iloc[row], b.iloc[row]
        mine, theirs = (one.kick_off.date().isoformat() for one in (x, y))
        found.append((keys[row], "day", x.source, mine, y.source, theirs, mine))
    return found
