"""Sound tables pass every claim; a planted fault of every kind is caught by the claim that should catch it.

Every table here is evaluated both by Great Expectations and in pandas, and both must agree.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from features.io.sources import bundled
from features.matches import Status, as_known_at, with_match_ids
from monitoring.checks.matches import fixtures_of, published_results, results_of
from monitoring.checks.spec import Severity
from monitoring.checks.suites import Suite, check_specs
from monitoring.expectations import MAX_EXAMPLES, CheckResult
from tests.support.evaluations import validate
from tests.support.sound_tables import (
    AS_OF,
    PLANTS,
    ROWS,
    SOUND,
    Plant,
    cell,
    sound_fixtures,
    sound_forecasts,
    sound_results,
    sound_states,
)

pytestmark = pytest.mark.medium


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
    rows.loc[rows.index[:8], "home_goals"] = 999.0
    goals_check = {result.name: result for result in validate(Suite.RESULTS, rows, AS_OF)}["home_goals_are_plausible"]
    assert goals_check.failed_rows == 8
    assert goals_check.observed == f"8 of {ROWS} rows fail"
    assert len(goals_check.examples) == MAX_EXAMPLES
    assert goals_check.examples[0]["match_id"] == rows["match_id"].iloc[0]
    assert goals_check.examples[0]["home_goals"] == 999.0
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
        ("elo_plain", -1e5, "ratings_are_plausible"),
        ("played", -1.0, "ratings_are_plausible"),
        ("defence_shots", -400.0, "ratings_are_plausible"),
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


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        (cell("home_goals", 31.0), {"home_goals_are_usual"}),
        (lambda rows: rows.assign(kick_off=pd.Timestamp("2020-09-05", tz="UTC"), season="2019-20"), set()),
        (cell("kick_off", pd.Timestamp("2026-03-01", tz="UTC")), {"kick_offs_lie_in_their_season"}),
    ],
    ids=["31-0 between national teams", "a season that ended on day 432", "a match under the season before its own"],
)
def test_what_may_be_true_blocks_no_competition(change: Plant, warned: set[str]) -> None:
    """One unusual row is shown with its value, and all other rows go on."""
    later = pd.Timestamp("2027-01-01", tz="UTC").to_pydatetime()
    results = [result for result in validate(Suite.RESULTS, change(sound_results()), later) if not result.passed]
    assert [result.name for result in results if result.blocks] == []
    assert {result.name for result in results} - {"no_club_plays_twice_a_day"} == warned


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


def test_results_under_other_ids_are_not_lost() -> None:
    """Another spelling of a club changes ids; one of two listings of a match may go, the last one may not."""
    now = sound_results()
    respelt = {"Arsenal": "ARSENAL", "Chelsea": "Chel\u0301sea"}
    spelt = {side: now[side].replace(respelt) for side in ("home_team", "away_team")}
    before = with_match_ids(now.assign(**spelt)).assign(match_id=lambda rows: "old-" + rows["match_id"])
    assert not failed(validate(Suite.PUBLISHED, published_results(before, now, ("bundled",)), AS_OF))
    again = now.iloc[[3]].assign(
        match_id=now["match_id"].iloc[3] + "-2", kick_off=now["kick_off"].iloc[3] + pd.Timedelta(days=30)
    )
    twice = pd.concat([now, again])
    assert not failed(validate(Suite.PUBLISHED, published_results(twice, now, ("bundled",)), AS_OF))
    gone = published_results(twice, now.drop(now.index[3]), ("bundled",))
    assert validate(Suite.PUBLISHED, gone, AS_OF)[0].failed_rows == 2
