"""How both clubs of a match came to their ratings."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
from fastapi import APIRouter

from features.errors import UnknownMatchError
from features.io.store import Lake
from serving.api.catalogue.match_index import MatchRow
from serving.api.dependencies import CatalogueDep, LakeDep, MatchId, problems
from serving.api.query_params import StrictRoute
from serving.api.schemas.insights import Rating, RatingHistory

router = APIRouter(tags=["matches"], route_class=StrictRoute)
SPAN = timedelta(days=2 * 365)
_COLUMNS = ("match_id", "kick_off", "home_team", "away_team", "home_elo", "away_elo")


@router.get("/matches/{match_id}/ratings", response_model=RatingHistory, responses=problems(401, 404, 422, 503))
@router.get("/matches/{match_id}/ratings/", include_in_schema=False)
def match_ratings(match_id: MatchId, catalogue: CatalogueDep, lake: LakeDep) -> RatingHistory:
    """Elo of both clubs before each of their matches in the two years up to this one."""
    row = catalogue.snapshot.by_id.get(match_id)
    if row is None:
        raise UnknownMatchError(f"match {match_id!r} is unknown")
    return RatingHistory(items=history(lake, row))


def history(lake: Lake, row: MatchRow) -> list[Rating]:
    """Ratings by kick-off. A fixture that comes after others not played yet shows the state as it stands today."""
    table = lake.read_table("match_features", row.competition, _COLUMNS)
    table = table[table["kick_off"].between(pd.Timestamp(row.kick_off - SPAN), pd.Timestamp(row.kick_off))]
    found = []
    for one in table.sort_values(["kick_off", "match_id"]).itertuples(index=False):
        for team, elo in ((one.home_team, one.home_elo), (one.away_team, one.away_elo)):
            if team in (row.home_team, row.away_team):
                found.append(Rating(team=team, match_id=one.match_id, kick_off=one.kick_off, elo=elo))
    return found
