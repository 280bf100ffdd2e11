"""Details behind a published forecast."""

from __future__ import annotations

import pandas as pd

from features.errors import NotPublishedError
from features.forecast_schemas import FORECASTS
from features.io.store import week_of
from features.matches import OUTCOMES
from features.teams import MIN_RATED_MATCHES
from serving.api.artefact_formats import expected_format
from serving.api.dependencies import CatalogueDep, LakeDep, MatchId, problems
from serving.api.query_params import NoQuery
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.forecasts import Probabilities
from serving.api.schemas.insights import (
    ExpectedGoals,
    Explanation,
    Insight,
    MatchesRated,
    Odds,
    RatingContribution,
    Scoreline,
)
from serving.api.serializers import not_published_error

router = SlashRouter(tags=["matches"])


@router.get("/matches/{match_id}/insight", responses=problems(401, 404, 422, 503))
def match_insight(match_id: MatchId, _: NoQuery, catalogue: CatalogueDep, lake: LakeDep) -> Insight:
    """Expected goals, most probable scores, contributions of the ratings, and how much data there was.

    All figures agree with the published probabilities: the scorelines sum to the outcomes they belong to, and the
    explanation sums to log(home / away).
    """
    forecast = catalogue.forecasts.get(match_id)
    if forecast is None:
        raise not_published_error(catalogue, match_id)
    week = week_of(forecast["kick_off"])
    table = lake.read_table("forecasts", week, schema=FORECASTS)
    rows = table[table["match_id"] == match_id]
    if rows.empty or "scorelines" not in rows or rows["scorelines"].iloc[0] is None:
        raise NotPublishedError(f"the forecast of {match_id!r} was published without details")
    with expected_format(f"the row of {match_id!r} in forecasts/week={week}.parquet"):
        return _insight(rows.iloc[0])


def _insight(row: pd.Series) -> Insight:
    explanation = None
    if row["shares"] is not None:  # the lake keeps its first column names
        contributions = [RatingContribution(**item) for item in row["shares"]]
        total = row["usual_log_odds"] + sum(item.share for item in contributions)
        explanation = Explanation(baseline_log_odds=row["usual_log_odds"], contributions=contributions, log_odds=total)
    odds = None
    if pd.notna(row.get("odds_known_at")):
        odds = Odds(**{outcome: row[f"odds_{outcome}"] for outcome in OUTCOMES}, known_at=row["odds_known_at"])
    matches_by_club = {row["home_team"]: row["home_matches"], row["away_team"]: row["away_matches"]}
    return Insight(
        match_id=row["match_id"],
        probabilities=Probabilities(**{outcome: row[outcome] for outcome in OUTCOMES}),
        published_at=row["published_at"],
        expected_goals=ExpectedGoals(home=row["expected_home_goals"], away=row["expected_away_goals"]),
        scorelines=[Scoreline(**item) for item in row["scorelines"]],
        explanation=explanation,
        odds=odds,
        matches_rated=MatchesRated(home=row["home_matches"], away=row["away_matches"]),
        sparse_history_clubs=[club for club, matches in matches_by_club.items() if matches < MIN_RATED_MATCHES],
    )
