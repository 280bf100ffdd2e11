"""The plain-Elo reference for the matches of a season, fitted on the seasons before it."""

from __future__ import annotations

import pandas as pd

from features.matches import OUTCOMES, outcomes
from features.matrix import REFERENCE_FEATURE
from features.models import outcome_model
from features.splits import season_starts, settled
from orchestration.steps.training import trainable

REGULARISATION = 1.0


def plain_elo(matches: pd.DataFrame, features: pd.DataFrame, seasons: set[str]) -> pd.DataFrame:
    """`match_id, elo_home, elo_draw, elo_away` for every match of the given seasons.

    The rating of a match is that of the evening before it: a published forecast, older by days, knows no more.
    """
    table = matches.merge(features[["match_id", REFERENCE_FEATURE]], on="match_id", validate="one_to_one")
    starts = season_starts(table["season"])
    usable = trainable(table, include_running_season=True) & settled(table)
    parts = []
    for season in sorted(seasons):
        train = table[usable & (starts < int(season[:4]))]
        asked = table[table["season"] == season]
        if train.empty or asked.empty:
            continue
        model = outcome_model(REGULARISATION).fit(train[[REFERENCE_FEATURE]].to_numpy(float), outcomes(train))
        p = model.predict_proba(asked[[REFERENCE_FEATURE]].to_numpy(float))
        columns = {f"elo_{outcome}": p[:, index] for index, outcome in enumerate(OUTCOMES)}
        parts.append(asked[["match_id"]].assign(**columns))
    if not parts:
        return pd.DataFrame({"match_id": pd.Series(dtype="str"), **{f"elo_{one}": 0.0 for one in OUTCOMES}}).iloc[:0]
    return pd.concat(parts, ignore_index=True)
