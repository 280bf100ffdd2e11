"""The simulated final table of a season."""

from __future__ import annotations

from pydantic import BaseModel, Field

from features.league_rules import ZoneKind
from serving.api.schemas.forecasts import Probability
from serving.api.schemas.timestamps import UtcDatetime


class TableRow(BaseModel):
    """One club of the simulated final table."""

    team: str
    played: int
    points: int = Field(description="Points so far.")
    expected_points: float = Field(description="Mean of the final points over all simulations.")
    p_title: Probability
    p_top_four: Probability
    p_relegation: Probability = Field(description="Probability of relegation without a play-off.")
    positions: list[Probability] = Field(description="Probability of each final position, from first to last.")
    chances: list[Probability] = Field(description="Probability of each entry of the table's `places`, in that order.")


class TablePlace(BaseModel):
    """What positions `first` to `last` of the final table lead to, such as a European place or relegation."""

    name: str
    kind: ZoneKind
    first: int
    last: int


class SeasonTable(BaseModel):
    """The final table of a season, simulated from the current points and the forecasts of the remaining matches."""

    competition: str
    season: str
    model_version: int
    features_as_of: UtcDatetime = Field(description="Time of the latest result or odds that went into the forecasts.")
    complete: bool = Field(
        description="False if the fixture list may be incomplete: only listed matches are simulated."
    )
    places_known: bool = Field(
        description="False if the rules of the competition are unknown: `places` are then assumed, as their names say."
    )
    caveats: list[str] = Field(
        default_factory=list, description="What the table does not know or leaves out, in sentences."
    )
    places: list[TablePlace]
    items: list[TableRow]
