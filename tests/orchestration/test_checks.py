"""Tables that contradict a critical claim are never published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from features.io.clock import Clock
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources import SourceResult, bundled
from features.io.sources.source_result import quarantine_table
from features.io.store import Lake
from features.matches import RESULT_COLUMNS, Status, as_known_at
from features.matrix import GOAL_FEATURES, feature_frame
from features.rating_history import compute_ratings
from monitoring.checks.spec import Severity
from monitoring.checks.suites import Suite, check_specs
from orchestration import checks
from orchestration.assets import match_features as features_asset
from orchestration.assets.forecasts import forecasts
from orchestration.assets.match_features import ratings
from orchestration.assets.matches import matches
from orchestration.definitions import build
from orchestration.partitions import RANGE_END, RANGE_START, register_competitions
from orchestration.promotion.evidence import critical_checks
from orchestration.settings import PipelineSettings

pytestmark = pytest.mark.medium

LEAGUE = bundled.COMPETITION
AS_OF = datetime(2015, 6, 1, tzinfo=UTC)


class Source:
    """A source that returns the given table."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table

    def load(self, competition: str, say: Callable[[str], None]) -> SourceResult:
        return SourceResult(self._table, quarantine_table([]), {"source": "test"})


class At(Clock):
    """A clock that stands still and is live, not replaying."""

    replaying = False

    def __init__(self) -> None:
        pass

    def as_of(self) -> datetime:
        return AS_OF


@pytest.fixture(scope="module")
def season() -> pd.DataFrame:
    return bundled.load().query("season == '2014-15'").reset_index(drop=True)


def refresh(lake: Lake, table: pd.DataFrame, instance: dg.DagsterInstance, **config: bool) -> dg.ExecuteInProcessResult:
    register_competitions(instance, (LEAGUE,))
    settings = PipelineSettings(first_season=2014, mlflow_tracking_uri="http://127.0.0.1:9")
    resources = {"source": Source(table), "clock": At(), "lake": lake, "settings": settings}
    return dg.materialize(
        [matches, ratings],
        partition_key=LEAGUE,
        instance=instance,
        resources=resources,
        run_config={"ops": {"matches": {"config": config}}},
        raise_on_error=False,
    )


def published(lake: Lake) -> dict[str, bytes]:
    """The published content of the league's tables."""
    return {name: lake.read_bytes(f"{name}/{LEAGUE}.parquet") for name in ("matches", "match_features", "team_states")}


def test_broken_feed_leaves_the_published_table(tmp_path, season: pd.DataFrame) -> None:
    """The failure names the check, and nothing downstream runs."""
    lake = Lake(str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        good = refresh(lake, season, instance)
        assert good.success
        evaluations = good.get_asset_check_evaluations()
        assert {evaluation.check_name for evaluation in evaluations if not evaluation.passed} == set()
        assert len(evaluations) == sum(
            len(check_specs(suite)) for suite in (*checks.SUITES["matches"], Suite.FEATURES, Suite.STATES)
        )
        before = published(lake)

        broken = season.copy()
        broken.loc[7, "home_goals"] = 999
        bad = refresh(lake, broken, instance)
        assert not bad.success
        failed = {
            evaluation.check_name: evaluation
            for evaluation in bad.get_asset_check_evaluations()
            if not evaluation.passed
        }
        assert "results_home_goals_are_plausible" in failed
        metadata = failed["results_home_goals_are_plausible"].metadata
        assert metadata["failed_rows"].value == 1
        assert broken.loc[7, "match_id"] in metadata["examples"].value
        error = next(event for event in bad.all_events if event.is_step_failure).step_failure_data.error
        assert "the previous table remains in use" in error.to_string()
        assert not any(event.is_step_success for event in bad.all_events), "nothing downstream may run"
        assert published(lake) == before

        seen = critical_checks(instance, checks.CRITICAL)
        assert not seen["matches: results_home_goals_are_plausible"]
        assert seen["matches: results_away_goals_are_plausible"]
        assert not any(name.startswith("forecasts") for name in seen), "what never ran has no result"


def test_result_of_a_future_match_is_a_broken_feed(tmp_path, season) -> None:
    lake, knowing = Lake(str(tmp_path)), season.copy()
    knowing.loc[7, "kick_off"] = pd.Timestamp(AS_OF) + pd.Timedelta(days=3)
    with dg.DagsterInstance.ephemeral() as instance:
        assert refresh(lake, season, instance).success
        before = published(lake)
        bad = refresh(lake, knowing, instance)
        failed = {evaluation.check_name for evaluation in bad.get_asset_check_evaluations() if not evaluation.passed}
        assert "results_results_are_past" in failed
        assert published(lake) == before


def test_fixtures_failing_a_critical_check_are_not_published(tmp_path, season: pd.DataFrame) -> None:
    lake, broken = Lake(str(tmp_path)), season.copy()
    to_come = broken.index[-1]
    broken.loc[to_come, "status"] = Status.SCHEDULED.value
    broken.loc[to_come, list(RESULT_COLUMNS)] = float("nan")
    broken.loc[to_come, "away_team"] = broken.loc[to_come, "home_team"]
    with dg.DagsterInstance.ephemeral() as instance:
        assert refresh(lake, season.iloc[:-1], instance).success
        before = published(lake)
        bad = refresh(lake, broken, instance)
        failed = {
            evaluation.check_name: evaluation
            for evaluation in bad.get_asset_check_evaluations()
            if not evaluation.passed
        }
        assert "fixtures_no_club_plays_itself" in failed
        assert failed["fixtures_no_club_plays_itself"].metadata["observed"].value == "1 of 1 rows fail"
        assert published(lake) == before


def test_only_a_new_competition_may_have_no_results(tmp_path, season: pd.DataFrame) -> None:
    lake, ahead = Lake(str(tmp_path)), season.copy()
    ahead["status"] = Status.SCHEDULED.value
    ahead[list(RESULT_COLUMNS)] = float("nan")
    ahead["kick_off"] += pd.Timedelta(days=364)
    ahead["season"] = "2015-16"
    with dg.DagsterInstance.ephemeral() as instance:
        assert refresh(lake, ahead, instance).success
        assert len(lake.read_table("match_features", LEAGUE)) == 380
        assert refresh(lake, season, instance).success
        lost = refresh(lake, ahead, instance)
        assert not lost.success
        error = next(event for event in lost.all_events if event.is_step_failure).step_failure_data.error
        assert "380 of 380 rows fail" in error.to_string()


def test_feed_that_lost_results_is_refused_until_accepted(tmp_path, season) -> None:
    lake = Lake(str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        assert refresh(lake, season, instance).success
        before = published(lake)
        fewer = season.drop(season.index[[3, 200]])
        refused = refresh(lake, fewer, instance)
        assert [
            evaluation.check_name for evaluation in refused.get_asset_check_evaluations() if not evaluation.passed
        ] == ["published_results_are_kept"]
        assert not any(event.is_step_success for event in refused.all_events), "nothing downstream may run"
        assert published(lake) == before
        assert not critical_checks(instance, checks.CRITICAL)["matches: published_results_are_kept"]

        assert refresh(lake, fewer, instance, accept_lost_results=True).success
        assert len(lake.read_table("matches", LEAGUE)) == len(season) - 2
        assert refresh(lake, fewer, instance).success, "results that a person accepted as lost stay accepted"


@pytest.mark.parametrize("broken", ["match_features", "team_states"])
def test_ratings_failing_a_critical_check_are_not_published(
    tmp_path, season: pd.DataFrame, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing downstream runs."""
    lake = Lake(str(tmp_path))
    definitions = build(PipelineSettings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9"))
    whole: dict[str, Callable[..., Any]] = {
        "match_features": feature_frame,
        "team_states": compute_ratings,
    }

    def plant(*arguments: object) -> object:
        made = whole[broken](*arguments)
        table = made if isinstance(made, pd.DataFrame) else made.team_states
        table.loc[3, "elo"] = np.inf
        return made

    with dg.DagsterInstance.ephemeral() as instance:

        def asked_for_forecasts(cursor: Any) -> tuple[int, Any]:  # Dagster exports no type of its cursors
            seen = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
            return seen.get_num_requested(dg.AssetKey("forecasts")), seen.cursor

        instance.report_runless_asset_event(dg.AssetMaterialization("outcome_model"))
        assert refresh(lake, season.iloc[:-20], instance).success
        _, cursor = asked_for_forecasts(None)
        before = published(lake)

        monkeypatch.setattr(features_asset, "feature_frame" if broken == "match_features" else "compute_ratings", plant)
        bad = refresh(lake, season.iloc[:-10], instance)
        failed = {evaluation.check_name for evaluation in bad.get_asset_check_evaluations() if not evaluation.passed}
        assert {"match_features": "features_elo_is_plausible", "team_states": "states_ratings_are_known"}[
            broken
        ] in failed
        assert {name for name, content in published(lake).items() if content != before[name]} == {"matches"}
        requested, cursor = asked_for_forecasts(cursor)
        assert requested == 0

        monkeypatch.undo()
        assert refresh(lake, season, instance).success
        requested, cursor = asked_for_forecasts(cursor)
        assert requested > 0, "sound ratings are followed"


class Elo:
    """A model that needs no training; it scales the first `faulty` rows of its probabilities by `factor`."""

    def __init__(self, faulty: int, factor: float) -> None:
        self._factors = np.append(np.full(faulty, factor), 1.0)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        home = 1 / (1 + np.exp(-4 * x[:, 0]))
        p = np.column_stack([0.75 * home, np.full(len(x), 0.25), 0.75 * (1 - home)])
        return p * self._factors[np.minimum(np.arange(len(x)), len(self._factors) - 1)][:, None]


class InProduction:
    """A registry with one version in it."""

    def __init__(self, version: int, faulty: int = 0, factor: float = 1.0) -> None:
        tags = {"trained_through": "2025-05-25T15:00:00+00:00"}
        self._version = ModelVersion(version, "run", bundled.REPLAY_AS_OF, tags)
        self._model = Elo(faulty, factor)

    def by_alias(self, alias: str) -> ModelVersion:
        return self._version

    def load(self, version: ModelVersion) -> LoadedModel:
        return LoadedModel(version, self._model, GOAL_FEATURES)


def publish(lake: Lake, registry: InProduction, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Forecast the running week and the next."""
    settings = PipelineSettings(as_of=bundled.REPLAY_AS_OF)
    return dg.materialize(
        [forecasts],
        instance=instance,
        resources={"lake": lake, "registry": registry, "clock": Clock(settings), "settings": settings},
        tags={RANGE_START: "2026-03-09", RANGE_END: "2026-03-16"},
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("factor", "named"),
    [
        (np.nan, {"home_is_known", "draw_is_known", "away_is_known"}),
        (1.01, {"probabilities_sum_to_one"}),
        (-1.0, {"home_is_a_probability", "draw_is_a_probability", "away_is_a_probability", "probabilities_sum_to_one"}),
    ],
    ids=["not a number", "sum to more than one", "below zero"],
)
def test_invalid_probabilities_are_not_published(tmp_path, factor: float, named: set[str]) -> None:
    """The forecasts published before stay as they were."""
    lake, weeks = Lake(str(tmp_path)), ("2026-03-09", "2026-03-16")
    lake.write_table("matches", LEAGUE, as_known_at(bundled.load().query("season >= '2024-25'"), bundled.REPLAY_AS_OF))
    with dg.DagsterInstance.ephemeral() as instance:
        assert publish(lake, InProduction(1), instance).success
        before = {week: lake.read_bytes(f"forecasts/week={week}.parquet") for week in weeks}
        assert all(len(lake.read_table("forecasts", week)) for week in weeks)

        bad = publish(lake, InProduction(2, faulty=1, factor=factor), instance)
        assert not bad.success
        failed = {
            evaluation.check_name: evaluation
            for evaluation in bad.get_asset_check_evaluations()
            if not evaluation.passed
        }
        assert set(failed) >= {f"forecasts_{name}" for name in named}
        error = next(event for event in bad.all_events if event.is_step_failure).step_failure_data.error.to_string()
        assert "the previous table remains in use" in error
        for name in named:
            evaluation = failed[f"forecasts_{name}"]
            assert evaluation.metadata["failed_rows"].value == 2, "one row in each week"
            assert evaluation.description in error
            assert not critical_checks(instance, checks.CRITICAL)[f"forecasts: forecasts_{name}"]
        assert {week: lake.read_bytes(f"forecasts/week={week}.parquet") for week in weeks} == before

        assert publish(lake, InProduction(2), instance).success
        assert set(lake.read_table("forecasts", "2026-03-16")["model_version"]) == {2}, "valid forecasts are published"


def test_failed_warning_is_shown_and_does_not_block(tmp_path, season: pd.DataFrame) -> None:
    lake, unusual = Lake(str(tmp_path)), season.copy()
    unusual.loc[unusual.index[::2], ["home_goals", "away_goals"]] = [6, 5]
    first, twice = unusual.index[unusual["home_team"] == unusual.loc[unusual.index[0], "home_team"]][:2]
    unusual.loc[twice, "kick_off"] = unusual.loc[first, "kick_off"]
    with dg.DagsterInstance.ephemeral() as instance:
        run = refresh(lake, unusual, instance)
        assert run.success
        failed = {
            evaluation.check_name: evaluation
            for evaluation in run.get_asset_check_evaluations()
            if not evaluation.passed
        }
        assert {"results_goals_are_usual", "results_no_club_plays_twice_a_day"} <= set(failed)
        assert {evaluation.severity for evaluation in failed.values()} == {dg.AssetCheckSeverity.WARN}
        metadata = failed["results_no_club_plays_twice_a_day"].metadata
        assert metadata["failed_rows"].value >= 1
        assert unusual.loc[twice, "match_id"] in metadata["examples"].value
        assert all(critical_checks(instance, checks.CRITICAL).values())
    assert len(lake.read_table("matches", LEAGUE)) == len(lake.read_table("match_features", LEAGUE)) == len(season)


def test_there_are_suites_for_all_that_comes_in_and_goes_out() -> None:
    guarded = {"matches", "match_features", "team_states", "forecasts", "settled_forecasts"}
    assert set(checks.SUITES) == guarded
    assert {Suite.RESULTS, Suite.FIXTURES} <= set(checks.SUITES["matches"])
    assert {suite for suites in checks.SUITES.values() for suite in suites} == set(Suite), "every suite is used"


def test_every_claim_is_a_check_and_the_critical_ones_block() -> None:
    for asset, suites in checks.SUITES.items():
        spec_by_name = {spec.name: spec for spec in checks.specs(asset)}
        assert len(spec_by_name) == sum(len(check_specs(suite)) for suite in suites), "names must be unique"
        for suite in suites:
            for claim in check_specs(suite):
                spec = spec_by_name[f"{suite.value}_{claim.name}"]
                assert spec.blocking == (claim.severity is Severity.CRITICAL)
                assert spec.description == claim.description
    assert len(checks.CRITICAL) > 20
