"""What each source calls a club, and what we call it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

from features.competitions import pool_of
from features.teams import resolve


@cache
def _tables() -> dict[str, dict[str, str]]:
    path = files("features.io.sources") / "data" / "team_aliases.csv"
    table = pd.read_csv(str(path), keep_default_na=False)
    return {
        str(country): dict(zip(group["alias"], group["canonical"], strict=True))
        for country, group in table.groupby("country")
    }


def canonical(name: str, competition: str, where: str) -> str:
    """The canonical name of a club of a competition; in countries without an alias table names stay as they are.

    Raises
    ------
    UnknownTeam
        Naming the value, where it stands, and the nearest known clubs of the country.
    """
    aliases = _tables().get(pool_of(competition))
    if aliases is None:
        return name
    return aliases.get(name) or resolve(name, set(aliases.values()), aliases, where)
