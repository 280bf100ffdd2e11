"""Matches, clubs, competitions, and the forecast table."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Path, Query

from features.errors import UnknownMatchError
from features.league_rules import TableZone, has_rules, rules_of
from features.matches import Status
from features.season import MADE_FROM
from serving.api.catalogue.catalogue import competition_name
from serving.api.dependencies import CatalogueDep, LakeDep, MatchId, problems
from serving.api.query_params import StrictRoute
from serving.api.responses import OrjsonResponse
from serving.api.schemas.forecasts import ClubName, Slug
from serving.api.schemas.matches import Competitions, Match, MatchPage, Teams
from serving.api.schemas.season import SeasonTable
from serving.api.serializers import clock_info, serialize_match
from serving.errors import BadField
from serving.wire.columns import iso

router = APIRouter(tags=["matches"], route_class=StrictRoute)
_READ = problems(401, 404, 422)


class Order(StrEnum):
    """Direction of a list by kick-off."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@router.get("/matches", response_model=MatchPage, responses=_READ)
@router.get("/matches/", include_in_schema=False)
async def list_matches(
    catalogue: CatalogueDep,
    competition: Annotated[Slug | None, Query(description="Slug of a competition.")] = None,
    season: Annotated[str | None, Query(max_length=20, examples=["2025-26"])] = None,
    team: Annotated[ClubName | None, Query(description="A club, at home or away.")] = None,
    status: Annotated[Status | None, Query(description="scheduled, played or postponed.")] = None,
    date_from: Annotated[date | None, Query(description="First day of kick-off (UTC).")] = None,
    date_to: Annotated[date | None, Query(description="Last day of kick-off (UTC).")] = None,
    order: Annotated[Order, Query(description="By kick-off: earliest or latest first.")] = Order.ASCENDING,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = None,
) -> Any:
    """Matches by kick-off, each with its published forecast."""
    if competition is not None:
        catalogue.check_competition(competition)
    if season is not None:
        catalogue.check_season(season, competition)
    if date_from and date_to and date_from > date_to:
        raise BadField(f"date_from {date_from} is after date_to {date_to}", "date_from")
    club = catalogue.club_name(team) if team is not None else None
    asked = {"competition": competition, "season": season, "status": status, "team": club}
    wanted = {name: value for name, value in asked.items() if value is not None}
    since = datetime.combine(date_from, time.min, UTC) if date_from else None
    until = datetime.combine(date_to, time.max, UTC) if date_to else None
    rows, following = catalogue.snapshot.match_index.page(
        wanted, since, until, limit, cursor, order is Order.DESCENDING
    )
    items = [serialize_match(catalogue, row) for row in rows]
    return OrjsonResponse({"items": items, "next_cursor": following, **clock_info(catalogue)})


@router.get("/matches/{match_id}", response_model=Match, responses=_READ)
@router.get("/matches/{match_id}/", include_in_schema=False)
async def one_match(match_id: MatchId, catalogue: CatalogueDep) -> Any:
    """One match with its score and its published forecast."""
    row = catalogue.snapshot.by_id.get(match_id)
    if row is None:
        raise UnknownMatchError(f"match {match_id!r} is unknown")
    return OrjsonResponse(serialize_match(catalogue, row))


@router.get("/teams", response_model=Teams, responses=_READ)
@router.get("/teams/", include_in_schema=False)
async def list_teams(catalogue: CatalogueDep, competition: Annotated[Slug | None, Query()] = None) -> Any:
    """Clubs that can be forecast, with their rating as it stands."""
    if competition is not None:
        catalogue.check_competition(competition)
    clubs = [
        club
        for slug, part in sorted(catalogue.snapshot.clubs.items())
        if competition in (None, slug)
        for club in part.values()
    ]
    return OrjsonResponse(
        {
            "items": [
                {
                    "name": club.name,
                    "competition": club.competition,
                    "season": club.season,
                    "elo": club.elo,
                    "matches_played": club.played,
                    "features_as_of": club.features_as_of,
                }
                for club in clubs
            ]
        }
    )


@router.get("/competitions", response_model=Competitions, responses=problems(401, 422))
@router.get("/competitions/", include_in_schema=False)
async def list_competitions(catalogue: CatalogueDep) -> Any:
    """Competitions in the lake."""
    snapshot = catalogue.snapshot
    items = []
    for slug in snapshot.competitions:
        counts = snapshot.match_index.seasons.get(slug, {})
        name, country = competition_name(slug)
        teams = len(snapshot.clubs.get(slug, {}))
        items.append(
            {
                "competition": slug,
                "name": name,
                "country": country,
                "seasons": sorted(counts, reverse=True),
                "matches": sum(counts.values()),
                "teams": teams,
            }
        )
    return OrjsonResponse({"items": items})


@router.get("/competitions/{competition}/table", response_model=SeasonTable, responses=problems(401, 404, 422, 503))
@router.get("/competitions/{competition}/table/", include_in_schema=False)
def season_table(competition: Annotated[Slug, Path()], catalogue: CatalogueDep, lake: LakeDep) -> Any:
    """The simulated final table: title, European places or promotion, relegation, and every position."""
    catalogue.check_competition(competition)
    table = lake.read_table("season_forecast", competition, schema=MADE_FROM)
    places = [one.among(len(table)) for one in rules_of(competition).places]
    made_from = {name: column.tolist()[0] for name, column in table[MADE_FROM.names].items()}
    head = {
        "competition": competition,
        **made_from,
        "features_as_of": iso(made_from["features_as_of"]),
        "complete": "complete" not in table or bool(table["complete"].all()),  # earlier versions did not ask
        "places_known": has_rules(competition),
    }
    return OrjsonResponse({**head, "places": places, "items": _table(table, places)})


def _table(table: pd.DataFrame, places: list[TableZone]) -> list[dict[str, Any]]:
    positions = sorted((c for c in table.columns if c.startswith("position_")), key=lambda c: int(c.split("_")[1]))
    kept = ["team", "played", "points", "expected_points", "p_title", "p_top_four", "p_relegation"]
    ordered = table.sort_values("expected_points", ascending=False)
    spread = ordered[positions].to_numpy(float)
    inside = [np.minimum(spread[:, one.first - 1 : one.last].sum(axis=1), 1.0) for one in places]
    chances = np.column_stack(inside).tolist()
    return [
        {**{str(key): value for key, value in row.items()}, "positions": share, "chances": chance}
        for row, share, chance in zip(ordered[kept].to_dict("records"), spread.tolist(), chances, strict=True)
    ]
