"""Sound tables of every suite, and one planted fault for every check."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.forecasts import SCHEMA
from features.io.sources import bundled
from features.matches import OUTCOMES, as_known_at
from features.matrix import FEATURES, GOAL_FEATURES, RATING_FEATURES
from features.rating_history import compute_ratings
from monitoring.checks.matches import fixtures_of, published_results, results_of
from monitoring.checks.suites import Suite

AS_OF = bundled.REPLAY_AS_OF
ROWS = 400
Plant = Callable[[pd.DataFrame], pd.DataFrame]


def sound_results() -> pd.DataFrame:
    rows = results_of(as_known_at(bundled.load(), AS_OF)).tail(ROWS).copy()
    for side in ("home", "away"):
        rows[f"{side}_shots_on_target"] = rows[f"{side}_goals"] + 3
        rows[f"{side}_shots"] = rows[f"{side}_goals"] + 9
    return rows.assign(odds_home=2.1, odds_draw=3.4, odds_away=3.6)


def sound_published() -> pd.DataFrame:
    return published_results(sound_results().iloc[:-10], sound_results(), ("bundled",))


def sound_fixtures() -> pd.DataFrame:
    return fixtures_of(as_known_at(bundled.load(), AS_OF)).copy()


def sound_features() -> pd.DataFrame:
    rows = sound_results()[["match_id", "competition", "season", "kick_off", "home_team", "away_team", "status"]]
    values = np.random.default_rng(0).normal(0.15, 0.4, (len(rows), len(FEATURES)))
    return rows.assign(**dict(zip(FEATURES, values.T, strict=True)))


def sound_states() -> pd.DataFrame:
    return compute_ratings(as_known_at(bundled.load(), AS_OF)).team_states


def sound_forecasts() -> pd.DataFrame:
    rows = sound_fixtures()[["match_id", "competition", "season", "kick_off", "home_team", "away_team"]]
    p = np.random.default_rng(0).dirichlet([9, 5, 6], len(rows))
    frame: pd.DataFrame = rows.assign(
        **dict(zip(OUTCOMES, p.T, strict=True)),
        predicted_outcome=np.array(OUTCOMES)[p.argmax(axis=1)],
        model_version=3,
        trained_through=pd.Timestamp("2025-05-25", tz="UTC"),
        features_as_of=pd.Timestamp(AS_OF - timedelta(days=2)),
        published_at=pd.Timestamp(AS_OF),
    )[SCHEMA.names]
    return frame


def sound_settled() -> pd.DataFrame:
    rows = sound_forecasts().reset_index(drop=True)
    goals = sound_results()[["home_goals", "away_goals"]].head(len(rows)).reset_index(drop=True)
    outcome = 1 - np.sign(goals["home_goals"] - goals["away_goals"]).astype(int)
    scored = rows.assign(**goals, outcome=outcome, rps=0.2, log_loss=0.9, brier=0.6)
    return scored.assign(settled_at=pd.Timestamp(AS_OF))


SOUND: dict[Suite, Callable[[], pd.DataFrame]] = {
    Suite.RESULTS: sound_results,
    Suite.PUBLISHED: sound_published,
    Suite.FIXTURES: sound_fixtures,
    Suite.FEATURES: sound_features,
    Suite.STATES: sound_states,
    Suite.FORECASTS: sound_forecasts,
    Suite.SETTLED: sound_settled,
}


def cell(column: str, value: Any) -> Plant:
    """Change the value of one row."""

    def plant(rows: pd.DataFrame) -> pd.DataFrame:
        changed = rows.copy()
        changed[column] = [value if i == 7 else old for i, old in enumerate(changed[column])]
        return changed

    return plant


def column(name: str, value: Any) -> Plant:
    return lambda rows: rows.assign(**{name: value})


def without(name: str) -> Plant:
    return lambda rows: rows.drop(columns=name)


def twice(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[[7]]])


def empty(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[:0]


def playing_itself(rows: pd.DataFrame) -> pd.DataFrame:
    return cell("away_team", rows["home_team"].iloc[7])(rows)


def one_club_again_that_day(rows: pd.DataFrame) -> pd.DataFrame:
    changed = cell("kick_off", rows["kick_off"].iloc[0])(rows)
    return cell("home_team", rows["home_team"].iloc[0])(changed)


def sides_swapped(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(home_goals=rows["away_goals"], away_goals=rows["home_goals"])


def shifted(name: str, reference: str, hours: float) -> Plant:
    return lambda rows: cell(name, rows[reference].iloc[7] + pd.Timedelta(hours=hours))(rows)


IDENTITY: dict[str, Plant] = {
    "columns_are_complete": without("source"),
    "match_ids_are_unique": twice,
    "match_ids_are_well_formed": cell("match_id", "Arsenal v Chelsea"),
    "no_club_plays_itself": playing_itself,
    "kick_offs_fit_their_season": cell("kick_off", pd.Timestamp("2015-01-01", tz="UTC")),
    "kick_offs_lie_in_their_season": cell("kick_off", pd.Timestamp("2024-05-01", tz="UTC")),
    "no_club_plays_twice_a_day": one_club_again_that_day,
}

PLANTS: dict[Suite, dict[str, Plant]] = {
    Suite.RESULTS: {
        **IDENTITY,
        "results_exist": empty,
        "home_goals_are_known": cell("home_goals", np.nan),
        "away_goals_are_known": cell("away_goals", np.nan),
        "home_goals_are_plausible": cell("home_goals", 311.0),
        "away_goals_are_plausible": cell("away_goals", -1.0),
        "home_goals_are_usual": cell("home_goals", 31.0),
        "away_goals_are_usual": cell("away_goals", 21.0),
        "home_shots_cover_those_on_target": cell("home_shots", 0.0),
        "away_shots_cover_those_on_target": cell("away_shots_on_target", 40.0),
        "results_are_past": cell("kick_off", pd.Timestamp(AS_OF) + pd.Timedelta(days=1)),
        "goals_are_usual": column("home_goals", 0.0),
        "home_sides_do_better": sides_swapped,
        "odds_home_are_decimal": cell("odds_home", 0.5),
        "odds_draw_are_decimal": cell("odds_draw", -3.0),
        "odds_away_are_decimal": cell("odds_away", 40000.0),
        "odds_have_a_margin": cell("odds_home", 1.2),
    },
    Suite.PUBLISHED: {"results_are_kept": lambda rows: published_results(rows, rows.drop(rows.index[7]), ("bundled",))},
    Suite.FIXTURES: {
        **IDENTITY,
        "status_is_known": cell("status", "abandoned"),
        "home_goals_are_open": cell("home_goals", 1.0),
        "away_goals_are_open": cell("away_goals", 0.0),
        "no_result_is_overdue": cell("kick_off", pd.Timestamp(AS_OF) - pd.Timedelta(days=2)),
        "fixtures_are_near": cell("kick_off", pd.Timestamp(AS_OF) + pd.Timedelta(days=500)),
    },
    Suite.FEATURES: {
        "columns_are_complete": without("elo"),
        "features_exist": empty,
        "match_ids_are_unique": twice,
        **{f"{name}_is_known": cell(name, np.nan) for name in RATING_FEATURES},
        **{f"{name}_is_plausible": cell(name, np.inf) for name in FEATURES},
        **{f"{name}_is_usual": cell(name, -11.0) for name in FEATURES},
        **{f"{name}_varies": column(name, 0.2) for name in GOAL_FEATURES},
        "home_advantage_is_seen": lambda rows: rows.assign(elo=-rows["elo"]),
    },
    Suite.STATES: {
        "columns_are_complete": without("attack_shots"),
        "states_exist": empty,
        "clubs_are_unique": twice,
        "ratings_are_known": cell("pi_away", np.nan),
        "ratings_are_plausible": cell("level", 101.0),
        "ratings_are_usual": cell("level", 11.0),
        "results_are_past": cell("features_as_of", pd.Timestamp(AS_OF) + pd.Timedelta(hours=1)),
    },
    Suite.FORECASTS: {
        "columns_are_complete": without("model_version"),
        "match_ids_are_unique": twice,
        **{f"{name}_is_known": cell(name, np.nan) for name in OUTCOMES},
        **{f"{name}_is_a_probability": cell(name, -0.1) for name in OUTCOMES},
        **{f"{name}_is_not_extreme": cell(name, 0.999) for name in OUTCOMES},
        "probabilities_sum_to_one": lambda rows: cell("draw", rows["draw"].iloc[7] + 1e-5)(rows),
        "predicted_outcome_is_the_likeliest": cell("predicted_outcome", "nobody"),
        "published_at_lies_before_kick_off": shifted("published_at", "kick_off", 0),
        "trained_through_lies_before_kick_off": shifted("trained_through", "kick_off", 1),
        "features_as_of_lies_before_kick_off": shifted("features_as_of", "kick_off", 1),
        "forecasts_differ": column("home", 0.45),
        "home_wins_are_usual": lambda rows: rows.assign(home=rows["away"], away=rows["home"] + 0.2),
    },
    Suite.SETTLED: {
        "columns_are_complete": without("settled_at"),
        "match_ids_are_unique": twice,
        "published_at_lies_before_kick_off": shifted("published_at", "kick_off", 0),
        "trained_through_lies_before_kick_off": shifted("trained_through", "kick_off", 1),
        "features_as_of_lies_before_kick_off": shifted("features_as_of", "kick_off", 1),
        "outcome_is_that_of_the_score": lambda rows: cell("outcome", (rows["outcome"].iloc[7] + 1) % 3)(rows),
        "rps_is_a_score": cell("rps", 1.2),
    },
}
