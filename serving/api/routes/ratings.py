"""Rating history of the clubs of a match."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from features.errors import UnknownMatchError
from features.io.store import Lake
from serving.api.artefact_formats import expected_format
from serving.api.catalogue.match_index import MatchRow
from serving.api.dependencies import CatalogueDep, LakeDep, MatchId, problems
from serving.api.query_params import NoQuery
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.insights import Rating, RatingHistory

router = SlashRouter(tags=["matches"])
SPAN = timedelta(days=2 * 365)
_COLUMNS = ("match_id", "kick_off", "home_team", "away_team", "home_elo", "away_elo")


@router.get("/matches/{match_id}/ratings", responses=problems(401, 404, 422, 503))
def match_ratings(match_id: MatchId, _: NoQuery, catalogue: CatalogueDep, lake: LakeDep) -> RatingHistory:
    """Elo rating of both clubs before each of their matches in the two years up to this one."""
    row = catalogue.snapshot.by_id.get(match_id)
    if row is None:
        raise UnknownMatchError(f"match {match_id!r} is unknown")
    with expected_format(f"match_features/{row.competition}.parquet"):
        return RatingHistory(items=history(lake, row))


def history(lake: Lake, row: MatchRow) -> list[Rating]:
    """Read the ratings by kick-off. A fixture behind other unplayed matches of a club has the club's current rating."""
    table = lake.read_table("match_features", row.competition, _COLUMNS)
    table = table[table["kick_off"].between(pd.Timestamp(row.kick_off - SPAN), pd.Timestamp(row.kick_off))]
    ratings = []
    for match in table.sort_values(["kick_off", "match_id"]).itertuples(index=False):
        for team, elo in ((match.home_team, match.home_elo), (match.away_team, match.away_elo)):
            if team in (row.home_team, row.away_team):
                ratings.append(Rating(team=team, match_id=match.match_id, kick_off=match.kick_off, elo=elo))
    return ratings
