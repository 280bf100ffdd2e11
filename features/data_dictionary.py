"""What the columns of the lake's tables mean: the texts of Dagster, the API's document and the lake's README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "match_id": "Id of the match. It does not contain the day: a postponed match keeps its id.",
        "competition": "Slug of the competition, such as eng-premier-league.",
        "season": "Season: 2025-26, or 2025 where it is a calendar year.",
        "matchday": "Round of the season; null if the source has none.",
        "kick_off": "Start of the match, UTC.",
        "kick_off_exact": "False if only the day is known; the time of kick_off is then a placeholder.",
        "home_team": "Canonical name of the home club.",
        "away_team": "Canonical name of the away club.",
        "team": "Canonical name of the club.",
        "neutral": "Whether the match is played at neither club's ground.",
        "status": "scheduled, played or postponed.",
        "awarded": "Whether a tribunal decided the result.",
        "home_goals": "Goals of the home side; null until the match is played.",
        "away_goals": "Goals of the away side; null until the match is played.",
        "home_shots": "Shots of the home side.",
        "away_shots": "Shots of the away side.",
        "home_shots_on_target": "Shots on target of the home side.",
        "away_shots_on_target": "Shots on target of the away side.",
        "odds_home": "Decimal odds of a home win before the match; null without odds.",
        "odds_draw": "Decimal odds of a draw before the match; null without odds.",
        "odds_away": "Decimal odds of an away win before the match; null without odds.",
        "odds_known_at": "Time from which the odds were known, UTC; without it, no model uses them.",
        "closing_home": "Decimal odds of a home win at kick-off. Never a feature of this match, only of later ones.",
        "closing_draw": "Decimal odds of a draw at kick-off. Never a feature of this match, only of later ones.",
        "closing_away": "Decimal odds of an away win at kick-off. Never a feature of this match, only of later ones.",
        "source": "Source of the match.",
        "home": "Probability of a home win.",
        "draw": "Probability of a draw.",
        "away": "Probability of an away win.",
        "predicted_outcome": "The most probable outcome: home, draw or away.",
        "model_version": "Version of the model that made the forecast.",
        "trained_through": "Kick-off of the last match in the training data, UTC.",
        "features_as_of": "Time of the latest result or odds that went into the forecast, UTC.",
        "published_at": "Time at which the forecast was published, UTC.",
        "home_matches": "Matches that the ratings of the home club include.",
        "away_matches": "Matches that the ratings of the away club include.",
        "expected_home_goals": "Expected goals of the home side.",
        "expected_away_goals": "Expected goals of the away side.",
        "scorelines": "The likeliest scores with their probabilities.",
        "usual_log_odds": "Log of home over away probability for two average clubs.",
        "shares": "What each rating adds to the log of home over away probability.",
        "outcome": "What happened: 0 home win, 1 draw, 2 away win (predicted_outcome has these as words).",
        "rps": "Ranked probability score of the forecast; lower is better.",
        "log_loss": "Log loss of the forecast, in nats; lower is better.",
        "brier": "Brier score of the forecast, summed over the three outcomes; lower is better.",
        "settled_at": "Time at which the forecast was scored, UTC.",
        "elo": "Elo rating with goal difference. In match_features: home minus away with home advantage, over 400.",
        "elo_plain": "Like elo, with K = 20 and without goal difference: the baseline, never a feature of the model.",
        "home_elo": "Elo rating of the home club before the match.",
        "away_elo": "Elo rating of the away club before the match.",
        "pi": "Pi ratings as goals: home rating of the home club minus away rating of the away club.",
        "pi_reverse": "Pi ratings as goals: away rating of the home club minus home rating of the away club.",
        "pi_home": "Pi rating at home.",
        "pi_away": "Pi rating away.",
        "attack": "Attack in goals, on a log scale.",
        "defence": "Defence in goals, on a log scale.",
        "level": "Log goals of an average side of the division away from home.",
        "home_advantage": "Log factor on the home side's goals in the division.",
        "level_on_target": "Like level, for shots on target.",
        "home_advantage_on_target": "Like home_advantage, for shots on target.",
        "level_shots": "Like level, for shots.",
        "home_advantage_shots": "Like home_advantage, for shots.",
        "level_market": "Log-odds of an average side of the division away from home against a draw.",
        "home_advantage_market": "What the home side of the division adds to its log-odds.",
        "attack_on_target": "Attack in shots on target, like attack.",
        "defence_on_target": "Defence in shots on target, like defence.",
        "attack_shots": "Attack in shots, like attack.",
        "defence_shots": "Defence in shots, like defence.",
        "attack_market": "Attack on the scale of log-odds, from the closing odds of the club's matches that are over.",
        "defence_market": "Defence on the scale of log-odds, like attack_market.",
        "variance_market": "Variance of attack_market and defence_market: high if the club has no recent odds. "
        "In match_features: the sum of those of both clubs.",
        "matches_with_shots": "Matches with shots of the last 500 days, at most 6. "
        "In match_features: of the club with fewer.",
        "gain": "Factor on all rating steps: above 1 when little is known of the club.",
        "played": "Matches of the club in the data; in season_forecast, of this season.",
        "log_home_goals": "Log of the expected goals of the home side.",
        "log_away_goals": "Log of the expected goals of the away side.",
        "log_home_on_target": "Log of the expected shots on target of the home side.",
        "log_away_on_target": "Log of the expected shots on target of the away side.",
        "log_home_shots": "Log of the expected shots of the home side.",
        "log_away_shots": "Log of the expected shots of the away side.",
        "log_home_market": "Log of home over draw probability that past odds of both clubs expect.",
        "log_away_market": "Log of away over draw probability that past odds of both clubs expect.",
        "log_home_odds": "Log of home over draw probability by the bookmakers' odds; null without odds.",
        "log_away_odds": "Log of away over draw probability by the bookmakers' odds; null without odds.",
        "points": "Points of the club so far.",
        "expected_points": "Mean of the club's simulated final points.",
        "p_title": "Probability of finishing first.",
        "p_top_four": "Probability of finishing in the first four.",
        "p_relegation": "Probability of relegation.",
        "complete": "Whether all matches of the season are listed.",
        "places_known": "Whether the places of the competition are known.",
        "places": "Names of the places of the table, with their first and last position (JSON).",
        "caveats": "What the simulated table does not know, as sentences (JSON).",
    }
)
"""Meaning of each column, by its name, in every table that has it."""

_SERIES = (
    (re.compile(r"position_(\d+)"), r"Probability of finishing in position \1."),
    (re.compile(r"elo_(home|draw|away)"), r"Probability of \1 by plain Elo."),
    (re.compile(r"base_(home|draw|away)"), r"Probability of \1 by the base rate."),
    (re.compile(r"market_(home|draw|away)"), r"Probability of \1 by the bookmakers' odds; null without odds."),
)
"""Columns that come in series."""


def describe_column(name: str) -> str | None:
    """Return what a column means; None for one that the dictionary does not have."""
    if name in COLUMNS:
        return COLUMNS[name]
    return next((pattern.sub(text, name) for pattern, text in _SERIES if pattern.fullmatch(name)), None)
