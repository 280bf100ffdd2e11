"""The forecasts of one week as of a given time, without leakage and without changes to published history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from features.competitions import country_of
from features.forecasts import PUBLISHED, SCHEMA, forecast
from features.io.registry import LoadedModel
from features.matches import Status, as_known_at
from features.rating_history import compute_ratings
from orchestration.steps.lake_tables import empty_table


def monday(week: str) -> datetime:
    """Start of a week."""
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
    """The table of a week at `as_of`.

    Rows of `published` stay as they are once their match has kicked off. Upcoming matches are forecast with everything
    known at `as_of`. In a replay, played matches without a published forecast are forecast as of the Monday of their
    week.
    """
    due = matches_of_week(matches, week)
    due = due[due["status"] != Status.POSTPONED]
    kicked_off = set(due.loc[due["kick_off"] <= as_of, "match_id"])
    final = published[(published["kick_off"] <= as_of) | published["match_id"].isin(kicked_off)]
    missing = due[~due["match_id"].isin(set(final["match_id"]))]
    upcoming = missing[missing["kick_off"] > as_of]
    parts = [final, _keep_unchanged(_forecast_at(model, matches, upcoming, as_of), published)]
    if replaying:
        played = missing[missing["kick_off"] <= as_of]
        parts.append(_forecast_at(model, matches, played, min(as_of, monday(week))))
    filled = [part for part in parts if not part.empty]
    if not filled:
        return empty_table(PUBLISHED)
    return pd.concat(filled, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def _forecast_at(model: LoadedModel, matches: pd.DataFrame, fixtures: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    if fixtures.empty:
        return empty_table(PUBLISHED)
    known, version = as_known_at(matches, as_of), model.version
    countries = known["competition"].map(country_of)
    parts = []
    # One country at a time, as in `team_states`, because `features_as_of` is the last result of the same country.
    for country, due in fixtures.groupby(fixtures["competition"].map(country_of)):
        states = compute_ratings(known[countries == country]).team_states
        parts.append(forecast(model, due, states, version.version, version.trained_through, as_of))
    return pd.concat(parts, ignore_index=True)


def _keep_unchanged(fresh: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Give forecasts whose content has not changed their earlier date of publication."""
    content = [name for name in SCHEMA.names if name != "published_at"]
    if fresh.empty or published.empty:
        return fresh
    before = published[[*content, "published_at"]].rename(columns={"published_at": "before"})
    joined = fresh.merge(before, on=content, how="left")
    return fresh.assign(published_at=joined["before"].fillna(fresh["published_at"]).to_numpy())
