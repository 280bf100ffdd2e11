"""Sound tables pass every claim; a planted fault of every kind is caught by the claim that should catch it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.forecasts import SCHEMA
from features.io.sources import bundled
from features.matches import OUTCOMES, Status, as_known_at
from features.matrix import FEATURES, GOAL_FEATURES, RATING_FEATURES
from features.rating_history import compute_ratings
from monitoring.checks.matches import fixtures_of, published_results, results_of
from monitoring.checks.spec import Severity
from monitoring.checks.suites import Suite, check_specs
from monitoring.expectations import MAX_EXAMPLES, CheckResult, validate

pytestmark = pytest.mark.medium

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
    return rows.assign(
        **dict(zip(OUTCOMES, p.T, strict=True)),
        predicted_outcome=np.array(OUTCOMES)[p.argmax(axis=1)],
        model_version=3,
        trained_through=pd.Timestamp("2025-05-25", tz="UTC"),
        features_as_of=pd.Timestamp(AS_OF - timedelta(days=2)),
        published_at=pd.Timestamp(AS_OF),
    )[SCHEMA.names]


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
    "kick_offs_lie_in_their_season": cell("kick_off", pd.Timestamp("2015-01-01", tz="UTC")),
    "no_club_plays_twice_a_day": one_club_again_that_day,
}

PLANTS: dict[Suite, dict[str, Plant]] = {
    Suite.RESULTS: {
        **IDENTITY,
        "results_exist": empty,
        "home_goals_are_known": cell("home_goals", np.nan),
        "away_goals_are_known": cell("away_goals", np.nan),
        "home_goals_are_plausible": cell("home_goals", 31.0),
        "away_goals_are_plausible": cell("away_goals", -1.0),
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
        **{f"{name}_varies": column(name, 0.2) for name in GOAL_FEATURES},
        "home_advantage_is_seen": lambda rows: rows.assign(elo=-rows["elo"]),
    },
    Suite.STATES: {
        "columns_are_complete": without("attack_shots"),
        "states_exist": empty,
        "clubs_are_unique": twice,
        "ratings_are_known": cell("pi_away", np.nan),
        "ratings_are_plausible": cell("level", 11.0),
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


def failed(results: list[CheckResult]) -> set[str]:
    return {result.name for result in results if not result.passed}


@pytest.mark.parametrize("suite", Suite)
def test_a_sound_table_passes_every_claim(suite: Suite) -> None:
    results = validate(suite, SOUND[suite](), AS_OF)
    assert failed(results) == set()
    assert [result.name for result in results] == [claim.name for claim in check_specs(suite)]
    assert all(result.rows > 0 and result.observed and result.error is None for result in results)


@pytest.mark.parametrize("suite", Suite)
def test_every_claim_has_a_planted_fault(suite: Suite) -> None:
    names = [claim.name for claim in check_specs(suite)]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)
    assert set(PLANTS[suite]) == set(names)


@pytest.mark.parametrize(("suite", "name"), [(suite, name) for suite in Suite for name in PLANTS[suite]])
def test_a_planted_fault_is_caught_by_the_claim_about_it(suite: Suite, name: str) -> None:
    results = {result.name: result for result in validate(suite, PLANTS[suite][name](SOUND[suite]()), AS_OF)}
    caught = results[name]
    assert not caught.passed, f"{name} passed; these failed: {failed(list(results.values()))}"
    assert caught.blocks == (caught.severity is Severity.CRITICAL)


def test_a_failed_check_shows_how_many_rows_and_which() -> None:
    rows = sound_results()
    rows.loc[rows.index[:8], "home_goals"] = 99.0
    goals_check = {result.name: result for result in validate(Suite.RESULTS, rows, AS_OF)}["home_goals_are_plausible"]
    assert goals_check.failed_rows == 8
    assert goals_check.observed == f"8 of {ROWS} rows fail"
    assert len(goals_check.examples) == MAX_EXAMPLES
    assert goals_check.examples[0]["match_id"] == rows["match_id"].iloc[0]
    assert goals_check.examples[0]["home_goals"] == 99.0
    assert json.loads(json.dumps(goals_check.examples)) == list(goals_check.examples)


def test_a_claim_that_cannot_be_tested_fails_and_says_why() -> None:
    rows = sound_results().assign(home_goals="two")
    goals_check = {result.name: result for result in validate(Suite.RESULTS, rows, AS_OF)}["home_goals_are_plausible"]
    assert goals_check.blocks
    assert goals_check.error
    assert goals_check.observed == "could not be evaluated"


@pytest.mark.parametrize(
    ("name", "value", "claim"),
    [
        ("gain", np.nan, "ratings_are_known"),
        ("elo", np.inf, "ratings_are_known"),
        ("elo", 1e6, "ratings_are_plausible"),
        ("elo_plain", -1.0, "ratings_are_plausible"),
        ("played", -1.0, "ratings_are_plausible"),
        ("defence_shots", -40.0, "ratings_are_plausible"),
    ],
)
def test_a_rating_that_cannot_be_is_shown_with_its_club_and_name(name: str, value: float, claim: str) -> None:
    rows = cell(name, value)(sound_states())
    claim_check = {result.name: result for result in validate(Suite.STATES, rows, AS_OF)}[claim]
    assert (claim_check.blocks, claim_check.failed_rows) == (True, 1)
    assert claim_check.examples[0] == {
        "team": rows["team"].iloc[7],
        claim.removeprefix("ratings_are_").replace("known", "unknown").replace("plausible", "implausible"): name,
    }


def test_no_fixtures_left_at_the_end_of_a_season_is_no_fault() -> None:
    assert failed(validate(Suite.FIXTURES, sound_fixtures().iloc[:0], AS_OF)) == set()


def test_means_are_not_judged_on_a_handful_of_rows() -> None:
    few = sound_forecasts().iloc[:5].assign(home=0.2, draw=0.3, away=0.5, predicted_outcome="away")
    results = {result.name: result for result in validate(Suite.FORECASTS, few, AS_OF)}
    assert failed(list(results.values())) == set()
    assert "not evaluated" in results["home_wins_are_usual"].observed


def test_a_postponed_match_is_not_overdue() -> None:
    rows = cell("kick_off", pd.Timestamp(AS_OF) - pd.Timedelta(days=5))(sound_fixtures())
    rows = cell("status", Status.POSTPONED.value)(rows)
    assert "no_result_is_overdue" not in failed(validate(Suite.FIXTURES, rows, AS_OF))


def test_the_real_seasons_are_sound() -> None:
    table = as_known_at(bundled.load(), AS_OF)
    for suite, rows in ((Suite.RESULTS, results_of(table)), (Suite.FIXTURES, fixtures_of(table))):
        assert failed(validate(suite, rows, AS_OF)) == set()


def test_a_published_result_that_is_gone_or_open_again_is_lost() -> None:
    before = sound_results()
    reopened = cell("status", Status.SCHEDULED.value)(before)
    for now in (before.drop(before.index[7]), reopened):
        lost = validate(Suite.PUBLISHED, published_results(before, now, ("bundled",)), AS_OF)[0]
        assert (lost.blocks, lost.failed_rows) == (True, 1)
        assert lost.examples[0]["match_id"] == before["match_id"].iloc[7]
    assert (
        validate(Suite.PUBLISHED, published_results(before, before.iloc[:0], ("bundled",)), AS_OF)[0].failed_rows
        == ROWS
    )


def test_another_source_that_was_chosen_loses_nothing() -> None:
    before = sound_results()
    other = before.tail(100).assign(source="files")
    assert not failed(validate(Suite.PUBLISHED, published_results(before, other, ("files",)), AS_OF))


def test_a_source_that_returns_nothing_loses_its_results() -> None:
    """When a configured source returns nothing any more, all its earlier results count as lost."""
    before = sound_results()
    other = before.tail(100).assign(source="files")
    published = published_results(before, other, ("bundled", "files"))
    assert validate(Suite.PUBLISHED, published, AS_OF)[0].failed_rows == ROWS - 100


def test_a_result_of_a_day_without_a_time_may_be_known_on_that_day() -> None:
    evening = cell("kick_off", pd.Timestamp(AS_OF) + pd.Timedelta(hours=2))(sound_results())
    assert "results_are_past" in failed(validate(Suite.RESULTS, evening, AS_OF))
    assert "results_are_past" not in failed(validate(Suite.RESULTS, cell("kick_off_exact", False)(evening), AS_OF))
