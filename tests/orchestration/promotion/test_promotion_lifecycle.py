"""The whole life of a model: trained, staged, judged, approved, promoted, challenged, rolled back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from features.io import promotion_log, report_files
from features.io.registry import PREVIOUS, PRODUCTION, STAGING
from monitoring.conditions import Policy
from monitoring.settlement import SCHEMA as SETTLED
from orchestration.definitions import build
from orchestration.partitions import RANGE_END, RANGE_START
from orchestration.promotion.production_report import rollback_evidence
from orchestration.sensors import promotion_sensor
from orchestration.steps import lake_tables

pytestmark = pytest.mark.timeout(900)  # the first test sets up a whole installation

DRIFTED = "2026-03-02"
"""The latest week that is over."""

BETTER = 0.006
"""Regularisation of a model that is a little better on this season than the usual one."""


@pytest.fixture(scope="module")
def home(installed, tmp_path_factory: pytest.TempPathFactory):
    """A copy of the installation after its first start; each test continues from the previous one."""
    copy = tmp_path_factory.mktemp("life") / "home"
    shutil.copytree(installed.settings.home, copy)
    settings = installed.settings.model_copy(
        update={"home": copy, "mlflow_tracking_uri": f"sqlite:///{copy}/mlflow.db"}
    )
    return type(installed)(settings)


class Life:
    """Runs jobs of a home and reads the gate's verdict."""

    def __init__(self, home: Any) -> None:
        self.home = home

    def run(
        self, job: str, config: dict[str, Any] | None = None, policy: Policy = Policy.MANUAL, **options: Any
    ) -> Any:
        settings = self.home.settings.model_copy(update={"promotion_policy": policy})
        definition = build(settings).resolve_job_def(job)
        with self.home.instance() as instance:
            return definition.execute_in_process(
                run_config=config or {}, instance=instance, raise_on_error=False, **options
            )

    def stage(self, regularisation: float | None = None, recipe: str = "") -> int:
        """Train a candidate and return its version."""
        how = {"recipe": recipe} if regularisation is None else {"regularisation": regularisation}
        config = {"ops": {"outcome_model": {"config": {**how, "reason": "test"}}}}
        assert self.run("train_model", config).success
        return self.home.registry.by_alias(STAGING).version

    def shadow(self) -> None:
        weeks = {RANGE_START: "2025-08-11", RANGE_END: "2026-03-09"}
        assert self.run("forecast_shadow", tags=weeks).success

    def judge(self, policy: Policy = Policy.MANUAL) -> tuple[list[str], dict[str, Any]]:
        """Names of the failed conditions, and the published verdict."""
        assert self.run("evaluate_candidate", policy=policy).success
        document = self.home.lake.read_json("reports/gate.json")
        return [condition["name"] for condition in document["conditions"] if not condition["open"]], document

    def decide(self, job: str, op: str, **form: Any) -> Any:
        """Run a decision with the evidence that Dagster shows, unless the form has its own."""
        return self.run(job, {"ops": {op: {"config": {"evidence": self.evidence(job, form.get("week")), **form}}}})

    def evidence(self, job: str, week: str | None) -> str:
        """What a decision must quote."""
        if job == "rollback_production":
            return rollback_evidence(self.home.registry, self.home.lake)
        if week is None:
            return str(self.home.lake.read_json(report_files.PROMOTION_GATE)["evidence"])
        return str(
            (lake_tables.read_report(self.home.lake, report_files.drift_summary_path(week)) or {}).get("digest", "-")
        )

    def tick(self, policy: Policy = Policy.MANUAL) -> dg.RunRequest | dg.SkipReason:
        settings = self.home.settings.model_copy(update={"promotion_policy": policy})
        resources = {"registry": self.home.registry, "lake": self.home.lake, "settings": settings}
        with self.home.instance() as instance:
            answer = promotion_sensor(dg.build_sensor_context(instance=instance, resources=resources))
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    @contextmanager
    def drifted(self) -> Iterator[None]:
        """Inside the block, the latest drift report says drift and nobody has reviewed it."""
        folder, lake = f"reports/drift/week={DRIFTED}", self.home.lake
        summary = lake.read_json(f"{folder}/summary.json")
        lake.write_json(f"{folder}/summary.json", summary | {"state": "drift", "drifted": ["elo"], "digest": "planted"})
        yield
        lake.write_json(f"{folder}/summary.json", summary)

    def bearer(self, alias: str) -> int | None:
        version = self.home.registry.by_alias(alias)
        return version.version if version else None


@pytest.fixture(scope="module")
def life(home: Any) -> Life:
    return Life(home)


def failure(result: Any) -> str:
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return " ".join(error.to_string() for error in errors)


@pytest.mark.slow
def test_the_whole_life_of_a_model(life: Life) -> None:
    # A second version is trained: it waits, and the gate says what is missing.
    assert (life.bearer(PRODUCTION), life.bearer(STAGING)) == (1, 1)
    assert isinstance(life.tick(), dg.SkipReason)
    assert life.stage(0.012) == 2
    shut, verdict = life.judge()
    assert {"enough_matches", "approved"} <= set(shut)
    assert "too few" in next(
        condition["why"] for condition in verdict["conditions"] if condition["name"] == "enough_matches"
    )
    refused = life.decide("approve_promotion", "approve_candidate", version=2, name="Ada", reason="looks good")
    assert "cannot be approved, conditions failed" in failure(refused)
    assert life.run("promote_model").success
    assert life.bearer(PRODUCTION) == 1

    # Its shadow forecasts are settled: only the approval of a person is missing.
    life.shadow()
    shut, verdict = life.judge()
    assert shut == ["approved"], verdict["conditions"]
    assert verdict["waiting_since"]

    # Drift shuts the gate until a person has reviewed it; the review is enough to open it again.
    with life.drifted():
        assert life.judge()[0] == ["drift_reviewed", "approved"]
        assert life.decide("review_drift", "record_review", week=DRIFTED, name="Ada", note="newcomers").success
        verdict = life.home.lake.read_json("reports/gate.json")
        assert [condition["name"] for condition in verdict["conditions"] if not condition["open"]] == ["approved"]
    shut, verdict = life.judge()
    assert "waits for a person" in life.tick().skip_message
    wrong = life.decide("approve_promotion", "approve_candidate", version=1, name="Ada", reason="looks good")
    assert "not the candidate" in failure(wrong)
    stale = life.decide(
        "approve_promotion", "approve_candidate", version=2, name="Ada", reason="looks good", evidence="0123"
    )
    assert "evidence has changed" in failure(stale)

    # Version 2 is approved and promoted once.
    assert life.decide("approve_promotion", "approve_candidate", version=2, name="Ada", reason="as good, newer").success
    request = life.tick()
    assert isinstance(request, dg.RunRequest)
    assert life.tick().run_key == request.run_key, "a repeated tick asks for the same promotion"
    assert life.run("promote_model").success
    assert life.run("promote_model").success, "a repeated run finds nothing left to do"
    assert (life.bearer(PRODUCTION), life.bearer(PREVIOUS)) == (2, 1)
    after = life.home.lake.read_json("reports/gate.json")
    assert (after["open"], after["production"], after["previous"]) == (False, 2, 1)
    tags = life.home.registry.by_alias(PRODUCTION).tags
    assert (tags["promoted_by"], tags["promoted_because"]) == ("Ada", "as good, newer")
    assert tags["promoted_evidence"] == verdict["evidence"]
    assert [entry["version"] for entry in promotion_log.history(life.home.lake)] == [1, 2]
    assert isinstance(life.tick(), dg.SkipReason)

    # A worse successor is refused, even where nobody needs to approve.
    assert life.stage(1e-5) == 3
    life.shadow()
    shut, verdict = life.judge(Policy.AUTO)
    assert "not_worse_than_production" in shut
    assert "worse than version 2" in next(
        condition["why"] for condition in verdict["conditions"] if condition["name"] == "not_worse_than_production"
    )
    assert "not_worse_than_production" in life.tick(Policy.AUTO).skip_message
    assert life.run("promote_model", policy=Policy.AUTO).success
    assert life.bearer(PRODUCTION) == 2

    # A better successor is promoted without a person under the automatic policy.
    assert life.stage(BETTER) == 4
    life.shadow()
    shut, verdict = life.judge(Policy.AUTO)
    assert shut == []
    compared = next(
        condition for condition in verdict["conditions"] if condition["name"] == "not_worse_than_production"
    )
    assert float(compared["value"].split()[0]) < 0, "better than version 2 on the same matches"
    assert isinstance(life.tick(Policy.AUTO), dg.RunRequest)
    assert life.run("promote_model", policy=Policy.AUTO).success
    assert (life.bearer(PRODUCTION), life.bearer(PREVIOUS)) == (4, 2)

    # It is rolled back with a reason, and nothing promotes it again automatically.
    assert "reason" in failure(life.decide("rollback_production", "restore_previous", name="Ada", reason=" "))
    assert life.decide("rollback_production", "restore_previous", name="Ada", reason="odd draws").success
    assert (life.bearer(PRODUCTION), life.bearer(PREVIOUS), life.bearer(STAGING)) == (2, None, None)
    assert life.home.lake.read_json("reports/gate.json")["production"] == 2, "the verdict includes the rollback"
    assert life.home.registry.version(2).tags["restored_because"] == "odd draws"
    assert life.home.registry.version(4).tags["rolled_back_because"] == "odd draws"
    assert isinstance(life.tick(Policy.AUTO), dg.SkipReason)
    assert life.run("promote_model", policy=Policy.AUTO).success
    assert life.bearer(PRODUCTION) == 2
    assert [entry["action"] for entry in promotion_log.history(life.home.lake)] == ["promote"] * 3 + ["rollback"]

    # The same training by hand, with a reason, stages it again; its shadow forecasts are still there.
    assert "version 4 was rolled back by Ada" in life.judge()[1]["conditions"][0]["why"]
    assert life.stage(BETTER) == 4
    assert life.judge()[0] == ["approved"]

    # A second rollback goes back to the decision before; the version that was rolled back does not return.
    assert life.decide("rollback_production", "restore_previous", name="Ada", reason="again").success
    assert life.bearer(PRODUCTION) == 1
    assert "no previous version" in failure(
        life.decide("rollback_production", "restore_previous", name="Ada", reason="once more")
    )


@pytest.mark.slow
def test_recipe_is_trained_shadowed_and_judged_like_our_model(life: Life) -> None:
    """It has settled shadow forecasts, and the gate compares it with production on the same matches."""
    version = life.home.registry.version(life.stage(recipe="dixon_coles"))
    assert version.tags["model_recipe"] == "dixon_coles"
    assert life.home.registry.load(version).features == ("log_home_goals", "log_away_goals")
    life.shadow()
    shut, verdict = life.judge()
    assert verdict["candidate"] == version.version
    assert "approved" in shut
    assert "enough_matches" not in shut
    compared = next(
        condition for condition in verdict["conditions"] if condition["name"] == "not_worse_than_production"
    )
    assert float(compared["value"].split()[0]) != 0


def test_match_in_two_settled_weeks_is_not_scored_twice(life: Life) -> None:
    """The duplicate stops the settlement."""
    lake, weeks = life.home.lake, ("2026-02-23", "2026-03-02")
    first, second = (lake.read_table("settled_forecasts", week, schema=SETTLED) for week in weeks)
    lake.write_table("settled_forecasts", weeks[1], pd.concat([second, first.iloc[[0]]]), schema=SETTLED)
    before = lake.read_bytes("reports/performance.json")
    try:
        settling = life.run("settle_forecasts", tags={RANGE_START: "2026-03-09", RANGE_END: "2026-03-09"})
        assert "no match occurs twice" in failure(settling)
        assert not life.run("evaluate_forecasts").success
        assert lake.read_bytes("reports/performance.json") == before
    finally:
        lake.write_table("settled_forecasts", weeks[1], second, schema=SETTLED)
    assert life.run("settle_forecasts", tags={RANGE_START: weeks[0], RANGE_END: "2026-03-09"}).success
    after = pd.concat(lake.read_table("settled_forecasts", week, schema=SETTLED) for week in weeks)
    pd.testing.assert_frame_equal(after, pd.concat([first, second]))


def test_a_review_is_written_beside_its_report(life: Life) -> None:
    week = "2026-03-02"
    assert life.decide("review_drift", "record_review", week=week, name="Ada", note="newcomers").success
    review = life.home.lake.read_json(f"reports/drift/week={week}/review.json")
    summary = life.home.lake.read_json(f"reports/drift/week={week}/summary.json")
    assert (review["by"], review["note"], review["report"]) == ("Ada", "newcomers", summary["digest"])
    missing = life.decide("review_drift", "record_review", week="2025-08-11", name="Ada", note="newcomers")
    assert "no drift report" in failure(missing)


def test_the_report_can_be_opened_by_itself(installed) -> None:
    page = installed.lake.read_bytes("reports/drift/week=2026-03-02/report.html")
    assert b"Reliability of this test" in page
    assert Path(installed.lake.root, "reports/drift/week=2026-03-02/report.html").is_file()


def test_republished_season_keeps_history(life: Life) -> None:
    """This holds for one run over the season and for a run per week."""
    before = life.home.forecasts()
    for week in ("2025-09-15", "2026-03-09"):
        assert life.run("publish_forecasts", partition_key=week).success
    season = life.run("publish_forecasts", tags={RANGE_START: "2025-08-11", RANGE_END: "2026-04-06"})
    assert season.success
    after = life.home.forecasts()
    begun = before["kick_off"] <= before["published_at"].max()
    pd.testing.assert_frame_equal(after[begun], before[begun])
    with life.home.instance() as instance:
        weeks = instance.get_materialized_partitions(dg.AssetKey("forecasts"))
    assert len(weeks) > 35
