"""The forecasts of one week, as they may be published at a moment: never rewriting history, never knowing too much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from features.competitions import pool_of
from features.forecasts import PUBLISHED, SCHEMA, forecast
from features.io.registry import LoadedModel
from features.matches import Status, as_known_at
from features.rating_history import replay
from orchestration.steps.lake_tables import empty_table


def monday(week: str) -> datetime:
    """The first moment of a week."""
    return datetime.fromisoformat(week).replace(tzinfo=UTC)


def matches_of_week(matches: pd.DataFrame, week: str) -> pd.DataFrame:
    """The matches that kick off in a week."""
    begin = monday(week)
    return matches[(matches["kick_off"] >= begin) & (matches["kick_off"] < begin + timedelta(weeks=1))]


def forecasts_of_week(
    model: LoadedModel,
    matches: pd.DataFrame,
    week: str,
    as_of: datetime,
    replaying: bool,
    published: pd.DataFrame,
) -> pd.DataFrame:
    """What the week's table should hold at `as_of`.

    Rows of `published` whose match has kicked off stay as they are. Matches to come are forecast with all that is known
    at `as_of`. In a replay, matches that were played before anybody forecast them are forecast as they would have been
    on the Monday of their week.
    """
    due = matches_of_week(matches, week)
    due = due[due["status"] != Status.POSTPONED]
    begun = set(due.loc[due["kick_off"] <= as_of, "match_id"])
    kept = published[(published["kick_off"] <= as_of) | published["match_id"].isin(begun)]
    open_ = due[~due["match_id"].isin(set(kept["match_id"]))]
    to_come = open_[open_["kick_off"] > as_of]
    parts = [kept, _unless_unchanged(_forecast_at(model, matches, to_come, as_of), published)]
    if replaying:
        missed = open_[open_["kick_off"] <= as_of]
        parts.append(_forecast_at(model, matches, missed, min(as_of, monday(week))))
    filled = [part for part in parts if not part.empty]
    if not filled:
        return empty_table(PUBLISHED)
    return pd.concat(filled, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def _forecast_at(model: LoadedModel, matches: pd.DataFrame, fixtures: pd.DataFrame, moment: datetime) -> pd.DataFrame:
    if fixtures.empty:
        return empty_table(PUBLISHED)
    known, version = as_known_at(matches, moment), model.version
    pools = known["competition"].map(pool_of)
    parts = []
    for pool, due in fixtures.groupby(fixtures["competition"].map(pool_of)):  # as `team_states` is made: no pool's
        states = replay(known[pools == pool]).team_states  # last result dates the states of another
        parts.append(forecast(model, due, states, version.version, version.trained_through, moment))
    return pd.concat(parts, ignore_index=True)


def _unless_unchanged(fresh: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """A forecast that says the same as the published one keeps that one's date of publication."""
    content = [name for name in SCHEMA.names if name != "published_at"]
    if fresh.empty or published.empty:
        return fresh
    before = published[[*content, "published_at"]].rename(columns={"published_at": "before"})
    joined = fresh.merge(before, on=content, how="left")
    return fresh.assign(published_at=joined["before"].fillna(fresh["published_at"]).to_numpy())
