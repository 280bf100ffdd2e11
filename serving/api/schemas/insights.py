"""Details behind a published forecast: expected goals, contributions of the ratings, rating history."""

from __future__ import annotations

from pydantic import BaseModel, Field

from serving.api.schemas.forecasts import Probabilities, Probability
from serving.api.schemas.timestamps import UtcDatetime


class Rating(BaseModel):
    """Elo rating of a club before one of its matches."""

    team: str
    match_id: str
    kick_off: UtcDatetime
    elo: float


class RatingHistory(BaseModel):
    """Ratings of both clubs, ordered by kick-off."""

    items: list[Rating]


class ExpectedGoals(BaseModel):
    """Expected goals of the home and of the away side: the means over all scorelines."""

    home: float
    away: float


class Scoreline(BaseModel):
    """A final score and its probability."""

    home: int
    away: int
    probability: Probability


class RatingContribution(BaseModel):
    """How far one rating system moved the forecast: positive towards the home side, negative towards the away side."""

    rating: str = Field(
        description="elo, pi, goals, shots on target, shots, market (what bookmakers made of both clubs in their "
        "earlier matches) or odds (those before this match)."
    )
    share: float = Field(description="Contribution to log(home / away).")


class Explanation(BaseModel):
    """log(home / away) of the forecast, split into the baseline and the contribution of each rating system."""

    baseline_log_odds: float = Field(description="log(home / away) of a match between two average clubs.")
    contributions: list[RatingContribution]
    log_odds: float = Field(description="The baseline plus all contributions.")


class MatchesRated(BaseModel):
    """Number of matches of each club that its ratings are based on."""

    home: int
    away: int


class Odds(BaseModel):
    """Decimal pre-match odds that the forecast used."""

    home: float
    draw: float
    away: float
    known_at: UtcDatetime = Field(description="When the odds were published.")


class Insight(BaseModel):
    """The details behind a published forecast."""

    match_id: str
    probabilities: Probabilities
    published_at: UtcDatetime
    expected_goals: ExpectedGoals
    scorelines: list[Scoreline] = Field(description="The most probable final scores, most probable first.")
    explanation: Explanation | None = Field(description="Null for models that cannot be split into contributions.")
    odds: Odds | None = Field(None, description="Null if the forecast used no odds.")
    matches_rated: MatchesRated
    sparse_history_clubs: list[str] = Field(
        description="Clubs with few matches in the data. They are rated as typical promoted clubs, so the forecast is "
        "less certain."
    )
