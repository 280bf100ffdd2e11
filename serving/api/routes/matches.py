"""Matches, clubs, competitions, and the simulated final table."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, time
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import Path

from features.errors import UnknownMatchError
from features.league_rules import TableZone, ZoneKind, has_rules, rules_of
from features.season_simulation import MADE_FROM
from serving.api.artefact_formats import expected_format
from serving.api.catalogue.catalogue import competition_name
from serving.api.dependencies import CatalogueDep, LakeDep, MatchId, problems
from serving.api.query_params import MatchQuery, NoQuery, Order, TeamQuery
from serving.api.responses import OrjsonResponse
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.forecasts import Slug
from serving.api.schemas.matches import Competition, Competitions, Match, MatchPage, Team, Teams
from serving.api.schemas.season import SeasonTable
from serving.api.serializers import clock_info, serialize_match

router = SlashRouter(tags=["matches"])
_READ = problems(401, 404, 422)
MATCHES_PER_TURN = 50
"""Matches of a page that are converted before other requests get their turn: a few milliseconds."""


@router.get("/matches", response_model=MatchPage, responses=_READ)
async def list_matches(query: MatchQuery, catalogue: CatalogueDep) -> OrjsonResponse:
    """Matches by kick-off, each with its published forecast."""
    catalogue.check_filters(query.competition, query.season, query.date_from, query.date_to)
    club = catalogue.club_name(query.team) if query.team is not None else None
    filters = {"competition": query.competition, "season": query.season, "status": query.status, "team": club}
    rows, next_cursor = catalogue.snapshot.match_index.page(
        {name: value for name, value in filters.items() if value is not None},
        datetime.combine(query.date_from, time.min, UTC) if query.date_from else None,
        datetime.combine(query.date_to, time.max, UTC) if query.date_to else None,
        query.limit,
        query.cursor,
        query.order is Order.DESCENDING,
    )
    items = []
    for number, row in enumerate(rows):
        if number % MATCHES_PER_TURN == 0:
            await asyncio.sleep(0)  # other requests are answered in between
        items.append(serialize_match(catalogue, row))
    return OrjsonResponse({"items": items, "next_cursor": next_cursor, **clock_info(catalogue)})


@router.get("/matches/{match_id}", responses=_READ)
async def one_match(match_id: MatchId, _: NoQuery, catalogue: CatalogueDep) -> Match:
    """One match with its score and its published forecast."""
    row = catalogue.snapshot.by_id.get(match_id)
    if row is None:
        raise UnknownMatchError(f"match {match_id!r} is unknown")
    return Match.model_validate(serialize_match(catalogue, row))


@router.get("/teams", responses=_READ)
async def list_teams(query: TeamQuery, catalogue: CatalogueDep) -> Teams:
    """Clubs that can be forecast, with their current rating."""
    if query.competition is not None:
        catalogue.check_competition(query.competition)
    return Teams(
        items=[
            Team(
                name=club.name,
                competition=club.competition,
                season=club.season,
                elo=club.elo,
                matches_played=club.played,
                features_as_of=club.features_as_of,
            )
            for slug, members in sorted(catalogue.snapshot.clubs.items())
            if query.competition in (None, slug)
            for club in members.values()
        ]
    )


@router.get("/competitions", responses=problems(401, 422))
async def list_competitions(_: NoQuery, catalogue: CatalogueDep) -> Competitions:
    """All competitions in the lake."""
    snapshot = catalogue.snapshot
    items = []
    for slug in snapshot.competitions:
        matches_by_season = snapshot.match_index.seasons.get(slug, {})
        name, country = competition_name(slug)
        items.append(
            Competition(
                competition=slug,
                name=name,
                country=country,
                seasons=sorted(matches_by_season, reverse=True),
                matches=sum(matches_by_season.values()),
                teams=len(snapshot.clubs.get(slug, {})),
            )
        )
    return Competitions(items=items)


@router.get("/competitions/{competition}/table", responses=problems(401, 404, 422, 503))
def season_table(
    competition: Annotated[Slug, Path()], _: NoQuery, catalogue: CatalogueDep, lake: LakeDep
) -> SeasonTable:
    """The simulated final table: title, European places or promotion, relegation, and every position."""
    catalogue.check_competition(competition)
    table = lake.read_table("season_forecast", competition, schema=MADE_FROM)
    with expected_format(f"season_forecast/{competition}.parquet"):
        return _season_table(competition, table)


def _season_table(competition: str, table: pd.DataFrame) -> SeasonTable:
    zones = _zones(table, competition)
    places = [place.from_top(len(table)) for place in zones]
    return SeasonTable.model_validate(
        {
            "competition": competition,
            **{name: column.tolist()[0] for name, column in table[MADE_FROM.names].items()},
            "complete": "complete" not in table or bool(table["complete"].all()),  # earlier versions did not write it
            "places_known": bool(table["places_known"].all()) if "places_known" in table else has_rules(competition),
            "caveats": json.loads(str(table["caveats"].iloc[0])) if "caveats" in table else [],
            "places": places,
            "items": _table_rows(table, places),
        },
        from_attributes=True,
    )


def _zones(table: pd.DataFrame, competition: str) -> tuple[TableZone, ...]:
    """Zones by which the table was made; earlier versions did not write them."""
    if "places" not in table:
        return rules_of(competition).places
    return tuple(
        TableZone(zone["name"], ZoneKind(zone["kind"]), zone["first"], zone["last"])
        for zone in json.loads(str(table["places"].iloc[0]))
    )


def _table_rows(table: pd.DataFrame, places: list[TableZone]) -> list[dict[str, Any]]:
    positions = sorted((c for c in table.columns if c.startswith("position_")), key=lambda c: int(c.split("_")[1]))
    columns = ["team", "played", "points", "expected_points", "p_title", "p_top_four", "p_relegation"]
    by_position = table[positions].to_numpy(float)
    by_place = [
        np.minimum(by_position[:, place.first - 1 : place.last].sum(axis=1), 1.0) for place in places
    ]  # sums of rounded shares may exceed 1
    chances = np.column_stack(by_place).tolist() if places else [[] for _ in range(len(table))]
    return [
        {**{str(key): value for key, value in row.items()}, "positions": club_positions, "chances": club_chances}
        for row, club_positions, club_chances in zip(
            table[columns].to_dict("records"), by_position.tolist(), chances, strict=True
        )
    ]
