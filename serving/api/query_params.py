"""Models of query parameters. An unknown name is an error, because a misspelt filter would be ignored."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.matches import Status
from features.teams import suggest
from serving.api.schemas.forecasts import ClubName, Slug
from serving.errors import InvalidFieldError


class QueryParams(BaseModel):
    """Base of the models, and the model of endpoints without query parameters."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Raise InvalidFieldError for the first unknown name, with suggestions, which pydantic's own error lacks."""
        known = sorted(cls.model_fields)
        for name in values:
            if name not in known:
                hint = f"; expected one of {', '.join(known)}" if known else ": this endpoint has none"
                raise InvalidFieldError(
                    f"unknown query parameter {name[:100]!r}{hint}", name[:100], suggest(name, known)
                )
        return values


class Order(StrEnum):
    """Order of a list by kick-off."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class ForecastFilters(QueryParams):
    """Filters of a table of forecasts."""

    competition: Slug | None = Field(None, description="Slug of a competition.")
    season: str | None = Field(None, max_length=20, examples=["2025-26"])
    date_from: date | None = Field(None, description="First day of kick-off (UTC).")
    date_to: date | None = Field(None, description="Last day of kick-off (UTC).")


class MatchFilters(ForecastFilters):
    """Filters and paging of a list of matches."""

    team: ClubName | None = Field(None, description="A club, home or away.")
    status: Status | None = Field(None, description="scheduled, played or postponed.")
    order: Order = Field(Order.ASCENDING, description="By kick-off: earliest or latest first.")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=400, description="`next_cursor` of the previous page.")


class TeamFilters(QueryParams):
    """Filter of a list of clubs."""

    competition: Slug | None = Field(None, description="Slug of a competition.")


ForecastQuery = Annotated[ForecastFilters, Query()]
NoQuery = Annotated[QueryParams, Query()]
MatchQuery = Annotated[MatchFilters, Query()]
TeamQuery = Annotated[TeamFilters, Query()]
