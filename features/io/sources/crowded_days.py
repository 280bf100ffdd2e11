"""Days on which a club plays more than once: the days of these matches are in doubt, as where five rounds bear one."""

from __future__ import annotations

import pandas as pd

MOST_TOLD = 50
"""Days to describe; the others are counted."""


def crowded_days(matches: pd.DataFrame) -> list[str]:
    """Describe each day on which a club plays more than once, with the rounds of that day, the earliest first."""
    days = matches["kick_off"].dt.floor("D")
    sides = pd.concat(
        [matches[["matchday"]].assign(day=days, club=matches[side]) for side in ("home_team", "away_team")]
    )
    crowded = sides.loc[sides.duplicated(["day", "club"]), "day"].drop_duplicates().sort_values()
    told = sides[sides["day"].isin(crowded[:MOST_TOLD])]
    lines = [
        _describe(rows["day"].iloc[0].date(), rows.groupby("club").size(), rows["matchday"])
        for _, rows in told.groupby("day", sort=True)
    ]
    return lines + ([f"{more} more days"] if (more := len(crowded) - MOST_TOLD) > 0 else [])


def _describe(day: object, times: pd.Series[int], rounds: pd.Series[float]) -> str:
    most, clubs = times.idxmax(), int((times > 1).sum())
    others = f", as do {clubs - 1} more clubs" if clubs > 2 else ", as does one more club" if clubs == 2 else ""
    numbers = ", ".join(f"{number:.0f}" for number in sorted(rounds.dropna().unique())[:10])
    bearing = f"; the rounds {numbers} bear this day" if "," in numbers else ""
    return f"{day}: {most} plays {times.max()} matches{others}{bearing}"
