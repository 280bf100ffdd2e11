"""The plain-Elo baseline for the matches of a season, fitted on the seasons before it."""

from __future__ import annotations

import pandas as pd

from features.matches import OUTCOMES, outcomes
from features.matrix import REFERENCE_FEATURE
from features.models import outcome_model
from features.splits import after_burn_in, season_starts, trainable

REGULARISATION = 1.0


def plain_elo(matches: pd.DataFrame, features: pd.DataFrame, seasons: set[str]) -> pd.DataFrame:
    """Plain-Elo probabilities, columns `match_id, elo_home, elo_draw, elo_away`, of all matches of the given seasons.

    They use the ratings of the evening before each match, so they know at least as much as a published forecast.
    """
    table = matches.merge(features[["match_id", REFERENCE_FEATURE]], on="match_id", validate="one_to_one")
    starts = season_starts(table["season"])
    usable = trainable(table, include_running_season=True) & after_burn_in(table)
    parts = []
    for season in sorted(seasons):
        train = table[usable & (starts < int(season[:4]))]
        season_matches = table[table["season"] == season]
        if train.empty or season_matches.empty:
            continue
        model = outcome_model(REGULARISATION).fit(train[[REFERENCE_FEATURE]].to_numpy(float), outcomes(train))
        p = model.predict_proba(season_matches[[REFERENCE_FEATURE]].to_numpy(float))
        columns = {f"elo_{outcome}": p[:, index] for index, outcome in enumerate(OUTCOMES)}
        parts.append(season_matches[["match_id"]].assign(**columns))
    if not parts:
        return pd.DataFrame(
            {"match_id": pd.Series(dtype="str"), **{f"elo_{outcome}": 0.0 for outcome in OUTCOMES}}
        ).iloc[:0]
    return pd.concat(parts, ignore_index=True)
