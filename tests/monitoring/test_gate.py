"""The gate opens on evidence, and stays shut on a worse model and on evidence that is missing, foreign or stale."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import metrics
from features.errors import InvalidInputError, PromotionBlockedError
from features.io.store import Lake
from monitoring.conditions import Condition, Evidence, Policy
from monitoring.exporter import ReportCollector
from monitoring.gate import (
    GateDecision,
    approve,
    blocks_replacement,
    evaluate,
    no_candidate_document,
    to_dict,
)

AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
THROUGH = datetime(2025, 5, 25, 15, tzinfo=UTC)
OUTCOMES = ("home", "draw", "away")
STABLE = {"week": "2026-03-09", "state": "stable", "digest": "d1"}
DRIFTED = STABLE | {"state": "drift"}
REVIEW = {
    "week": "2026-03-09",
    "report": "d1",
    "by": "Ada",
    "note": "a goal-rich month",
    "at": "2026-03-10T09:00:00+00:00",
}


def season(n: int = 280, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities (n, 3) and outcomes drawn from them."""
    generator = np.random.default_rng(seed)
    strength = generator.normal(0.25, 0.7, n)
    weights = np.exp(np.column_stack([strength, np.zeros(n), -strength]))
    p = weights / weights.sum(axis=1, keepdims=True)
    return p, (generator.random((n, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)


def settled(p: np.ndarray, truth: np.ndarray, y: np.ndarray, version: int, **changes: Any) -> pd.DataFrame:
    n = len(y)
    base = np.tile(truth.mean(axis=0), (n, 1))
    rows = pd.DataFrame(p, columns=list(OUTCOMES)).assign(
        match_id=[f"m{i}" for i in range(n)],
        kick_off=pd.date_range("2025-08-15 19:00", periods=n, freq="17h", tz="UTC"),
        model_version=version,
        trained_through=pd.Timestamp(THROUGH),
        features_as_of=pd.date_range("2025-08-14 21:00", periods=n, freq="17h", tz="UTC"),
        outcome=y,
        rps=metrics.rps(p, y),
    )
    for name, reference in (("elo", 0.6 * truth + 0.4 * base), ("base", base), ("market", truth * np.nan)):
        rows[[f"{name}_{outcome}" for outcome in OUTCOMES]] = reference
    return rows.assign(**changes)


def towards_thirds(p: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * p + share / 3


def evidence(n: int = 280, candidate: np.ndarray | None = None, **changes: Any) -> Evidence:
    truth, y = season(n)
    p = truth if candidate is None else candidate
    return replace(
        Evidence(
            candidate=8,
            trained_through=THROUGH,
            settled=settled(p, truth, y, 8),
            production=7,
            production_settled=settled(towards_thirds(truth, 0.02), truth, y, 7),
            checks={"results.match_ids_are_unique": True, "forecasts.probabilities_sum_to_one": True},
            drift=STABLE,
            review=None,
            as_of=AS_OF,
            policy=Policy.AUTO,
        ),
        **changes,
    )


def shut(candidate_evidence: Evidence) -> tuple[str, ...]:
    return evaluate(candidate_evidence).failed


def test_a_better_model_with_sound_evidence_opens_the_gate() -> None:
    verdict = evaluate(evidence())
    assert verdict.passed, [condition for condition in verdict.conditions if not condition.passed]
    assert {condition.name for condition in verdict.conditions} == {
        "enough_matches",
        "trained_before_evaluation",
        "beats_base_rate",
        "beats_plain_elo",
        "not_worse_than_production",
        "calibrated",
        "data_checks_pass",
        "drift_reviewed",
        "approved",
    }
    assert all(condition.value and condition.threshold and condition.why for condition in verdict.conditions)


def test_a_retrained_twin_of_production_is_not_worse() -> None:
    truth, y = season()
    assert evaluate(evidence(production_settled=settled(truth, truth, y, 7))).passed


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_a_worse_model_is_refused(share: float) -> None:
    truth, _ = season()
    verdict = evaluate(evidence(candidate=towards_thirds(truth, share)))
    assert "not_worse_than_production" in verdict.failed


@pytest.mark.medium
def test_of_many_slightly_worse_models_hardly_any_passes() -> None:
    passed = 0
    for seed in range(40):
        truth, y = season(280, seed)
        worse = towards_thirds(truth, 0.25)
        candidate_evidence = evidence(
            settled=settled(worse, truth, y, 8), production_settled=settled(truth, truth, y, 7)
        )
        passed += "not_worse_than_production" not in shut(candidate_evidence)
    assert passed <= 1


@pytest.mark.parametrize("share", [0.004, -0.004])
def test_a_small_significant_deterioration_fails(share: float) -> None:
    """Otherwise several deteriorations within the margin would add up to a much worse model."""
    truth, y = season(2000)
    slightly = truth * (1 - share / 2) + np.eye(3)[(y + 1) % 3] * share / 2
    candidate_evidence = evidence(
        settled=settled(slightly, truth, y, 8), production_settled=settled(truth, truth, y, 7)
    )
    line = next(
        condition
        for condition in evaluate(candidate_evidence).conditions
        if condition.name == "not_worse_than_production"
    )
    assert abs(float(line.value.split()[0])) < 0.001, "well within the margin"
    assert line.passed is (share < 0), line


def test_forecasts_made_from_other_results_are_not_compared() -> None:
    candidate_evidence = evidence()
    assert candidate_evidence.production_settled is not None
    days = np.where(np.arange(280) < 200, 1, 0)
    later = candidate_evidence.settled.assign(
        features_as_of=candidate_evidence.settled["features_as_of"] + pd.to_timedelta(days, unit="D")
    )
    verdict = evaluate(replace(candidate_evidence, settled=later))
    assert verdict.failed == ("not_worse_than_production",)
    assert any("only 80 settled matches in common" in condition.why for condition in verdict.conditions)


def test_a_model_that_shouts_is_refused_for_its_calibration() -> None:
    truth, _ = season()
    loud = truth**4 / (truth**4).sum(axis=1, keepdims=True)
    assert "calibrated" in shut(evidence(candidate=loud))


def test_a_model_no_better_than_the_references_is_refused() -> None:
    truth, y = season()
    base = np.tile(truth.mean(axis=0), (len(y), 1))
    refused = shut(evidence(candidate=base, production=None, production_settled=None))
    assert {"beats_base_rate", "beats_plain_elo"} <= set(refused)


@pytest.mark.medium
def test_better_than_the_base_rate_by_luck_is_not_enough() -> None:
    """One in forty forecasters that know no more than the base rate may pass, not one in two."""
    generator, passed = np.random.default_rng(3), 0
    for seed in range(60):
        truth, y = season(120, seed)
        base = np.tile(truth.mean(axis=0), (len(y), 1))
        noise = base * np.exp(generator.normal(0, 0.2, base.shape))
        passed += "beats_base_rate" not in shut(
            evidence(settled=settled(noise / noise.sum(1, keepdims=True), truth, y, 8))
        )
    assert passed <= 3


def test_an_empty_sample_shuts_everything_that_rests_on_it() -> None:
    candidate_evidence = evidence()
    refused = shut(replace(candidate_evidence, settled=candidate_evidence.settled.iloc[:0]))
    assert {
        "enough_matches",
        "trained_before_evaluation",
        "beats_base_rate",
        "beats_plain_elo",
        "not_worse_than_production",
        "calibrated",
    } <= set(refused)


def test_a_small_sample_is_not_enough_however_good_it_looks() -> None:
    assert {"enough_matches", "not_worse_than_production"} <= set(shut(evidence(n=99)))


def why(candidate_evidence: Evidence, name: str) -> str:
    return next(condition.why for condition in evaluate(candidate_evidence).conditions if condition.name == name)


def test_too_few_matches_tell_how_many_more_and_what_they_wait_for() -> None:
    few = replace(evidence(40), shadow_forecasts=60, upcoming_matches=80)
    assert "40 of 60 shadow forecasts are settled, 60 more are needed; they are made every week" in why(
        few, "enough_matches"
    )
    assert "no shadow forecasts yet" in why(replace(few, shadow_forecasts=0), "enough_matches")
    assert why(evidence(100), "enough_matches") == "100 shadow forecasts are settled"


def test_a_season_with_too_few_matches_left_is_explained() -> None:
    """The candidate has learnt from the running season, and fewer matches are left than it needs."""
    late = replace(evidence(40), shadow_forecasts=60, upcoming_matches=59, trained_through=THROUGH)
    text = why(late, "enough_matches")
    assert "only 59 upcoming matches are known: wait for the fixtures of the next season" in text
    assert "matches up to the end of training, 2025-05-25, do not count" in text


def test_a_person_is_told_what_must_open_before_they_are_asked() -> None:
    manual = replace(evidence(), policy=Policy.MANUAL)
    assert why(manual, "approved") == "waiting for approval (job approve_promotion)"
    early = replace(manual, checks={}, drift=None)
    assert why(early, "approved") == "approval not requested yet: data_checks_pass, drift_reviewed must pass first"
    yes = approve(evaluate(manual), 8, "Ada", "as good", AS_OF)
    assert why(replace(early, approval=yes), "approved").startswith("the evidence has changed since the approval; ")


def test_where_nothing_waits_an_approval_is_told_so() -> None:
    nothing = Condition("candidate_waiting", False, "version 1", "-", "version 1 is in production already")
    verdict = GateDecision(1, 1, Policy.MANUAL, AS_OF, 0, (nothing,))
    with pytest.raises(
        PromotionBlockedError, match="no version is waiting for approval: version 1 is in production already"
    ):
        approve(verdict, 2, "Ada", "as good", AS_OF)


def test_production_without_settled_forecasts_fails() -> None:
    """The candidate cannot be compared with a production version that has no settled forecasts."""
    candidate_evidence = evidence()
    assert production_settled_missing(candidate_evidence, None)
    assert production_settled_missing(candidate_evidence, candidate_evidence.settled.iloc[:0])


def production_settled_missing(candidate_evidence: Evidence, rows: pd.DataFrame | None) -> bool:
    return "not_worse_than_production" in shut(replace(candidate_evidence, production_settled=rows))


def test_only_the_matches_in_common_are_compared() -> None:
    candidate_evidence = evidence()
    assert candidate_evidence.production_settled is not None
    elsewhere = candidate_evidence.production_settled.assign(match_id=lambda rows: "other-" + rows["match_id"])
    assert production_settled_missing(candidate_evidence, elsewhere)


def test_the_first_model_needs_no_predecessor() -> None:
    assert evaluate(evidence(production=None, production_settled=None)).passed


def test_a_model_trained_past_the_evaluation_window_is_refused() -> None:
    assert shut(evidence(trained_through=datetime(2025, 12, 1, tzinfo=UTC))) == ("trained_before_evaluation",)


def test_forecasts_of_another_version_are_no_evidence() -> None:
    candidate_evidence = evidence()
    foreign = candidate_evidence.settled.assign(model_version=np.where(np.arange(280) == 5, 6, 8))
    assert shut(replace(candidate_evidence, settled=foreign)) == ("trained_before_evaluation",)


@pytest.mark.parametrize(
    "checks", [{}, {"results.match_ids_are_unique": False}, {"a": True, "b": False}], ids=["none ran", "failed", "one"]
)
def test_failed_or_missing_data_checks_shut_the_gate(checks: dict[str, bool]) -> None:
    assert shut(evidence(checks=checks)) == ("data_checks_pass",)


@pytest.mark.parametrize(
    ("drift", "review"),
    [
        (None, None),
        (STABLE | {"week": "2026-02-23"}, None),
        (STABLE | {"week": "2026-03-16"}, None),
        (DRIFTED, None),
        (DRIFTED, REVIEW | {"week": "2026-03-02"}),
        (DRIFTED, REVIEW | {"report": "d0"}),
        (STABLE | {"state": "too_few_matches"}, None),
    ],
    ids=["no report", "stale", "of the future", "unreviewed", "other week", "changed since", "too few matches"],
)
def test_drift_that_nobody_has_answered_for_shuts_the_gate(drift: dict | None, review: dict | None) -> None:
    assert shut(evidence(drift=drift, review=review)) == ("drift_reviewed",)


@pytest.mark.parametrize(
    ("time", "is_open"), [("2026-03-23T07:30", True), ("2026-03-23T23:59", True), ("2026-03-24T00:01", False)]
)
def test_a_drift_report_speaks_until_the_next_one_is_late(time: str, is_open: bool) -> None:
    """The report of the week of 9 March is made on the 16th, the next one in the morning of the 23rd."""
    as_of = datetime.fromisoformat(time).replace(tzinfo=UTC)
    assert ("drift_reviewed" not in shut(evidence(as_of=as_of))) is is_open


def test_reviewed_drift_opens_again_and_names_the_reviewer() -> None:
    verdict = evaluate(evidence(drift=DRIFTED, review=REVIEW))
    assert verdict.passed
    assert any("Ada" in condition.why for condition in verdict.conditions)


def test_policy_manual_waits_for_a_person() -> None:
    """Under the manual policy, a candidate that meets all other conditions still waits for a person."""
    verdict = evaluate(evidence(policy=Policy.MANUAL))
    assert not verdict.passed
    assert verdict.waiting_for_approval


def approved(candidate_evidence: Evidence, **changes: Any) -> Evidence:
    approval = approve(evaluate(candidate_evidence), 8, "Ada", "better on 280 matches", AS_OF)
    return replace(candidate_evidence, approval=approval, **changes)


def test_an_approval_counts_for_its_evidence() -> None:
    """An approval opens the gate only for the evidence on which it was given."""
    assert evaluate(approved(evidence(policy=Policy.MANUAL))).passed


def test_an_approval_does_not_outlive_its_evidence() -> None:
    approved_evidence = approved(evidence(policy=Policy.MANUAL))
    assert shut(replace(approved_evidence, settled=approved_evidence.settled.iloc[:-10])) == ("approved",)
    assert shut(replace(approved_evidence, production=6)) == ("approved",)


def test_an_approval_of_another_version_counts_for_nothing() -> None:
    approved_evidence = approved(evidence(policy=Policy.MANUAL))
    other = replace(approved_evidence, candidate=9, settled=approved_evidence.settled.assign(model_version=9))
    assert shut(other) == ("approved",)


def test_an_approval_does_not_expire_by_the_hour() -> None:
    approved_evidence = approved(evidence(policy=Policy.MANUAL))
    assert evaluate(replace(approved_evidence, as_of=AS_OF + timedelta(hours=30))).passed


@pytest.mark.parametrize(
    ("version", "by", "reason", "seen", "message"),
    [
        (9, "Ada", "good", None, "not the candidate"),
        (8, " ", "good", None, "name"),
        (8, "Ada", "", None, "reason"),
        (8, "Ada", "good", "0123456789abcdef", "changed"),
    ],
)
def test_a_careless_approval_is_refused(version: int, by: str, reason: str, seen: str | None, message: str) -> None:
    with pytest.raises(PromotionBlockedError, match=message):
        approve(evaluate(evidence(policy=Policy.MANUAL)), version, by, reason, AS_OF, seen)


def test_nobody_approves_past_another_shut_condition() -> None:
    verdict = evaluate(evidence(policy=Policy.MANUAL, checks={"a": False}))
    with pytest.raises(PromotionBlockedError, match="data_checks_pass"):
        approve(verdict, 8, "Ada", "never mind", AS_OF)


def test_broken_probabilities_are_an_error_not_a_verdict() -> None:
    candidate_evidence = evidence()
    broken = candidate_evidence.settled.assign(home=np.nan)
    with pytest.raises(InvalidInputError):
        evaluate(replace(candidate_evidence, settled=broken))


def test_a_match_settled_twice_is_an_error() -> None:
    """A match that is settled twice is an error, not more evidence."""
    candidate_evidence = evidence(n=60)
    twice = pd.concat([candidate_evidence.settled, candidate_evidence.settled])
    with pytest.raises(InvalidInputError, match="duplicate match_id"):
        evaluate(replace(candidate_evidence, settled=twice))
    with pytest.raises(InvalidInputError, match="duplicate match_id"):
        evaluate(replace(candidate_evidence, production_settled=twice.assign(model_version=7)))


def test_document_remembers_since_when_it_waits() -> None:
    """The document is JSON and keeps the time of the real clock since when it waits."""
    waiting, now = evaluate(evidence(policy=Policy.MANUAL)), AS_OF + timedelta(days=200)
    first = to_dict(waiting, now)
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert first["waiting_since"] == now.isoformat()
    later = now + timedelta(days=2)
    assert to_dict(waiting, later, first)["waiting_since"] == now.isoformat()
    assert to_dict(replace(waiting, candidate=9), later, first)["waiting_since"] == later.isoformat()
    assert to_dict(evaluate(evidence()), later, first)["waiting_since"] is None


def test_staging_hold_starts_with_enough_matches() -> None:
    """A candidate's waiting time starts when it has enough matches."""
    few, enough = evaluate(evidence(n=99)), evaluate(evidence(policy=Policy.MANUAL))
    young = to_dict(few, AS_OF)
    assert young["judged_since"] is None
    assert "still being evaluated" in (blocks_replacement(young, 8, AS_OF) or "")
    first = to_dict(enough, AS_OF, young)
    assert first["judged_since"] == AS_OF.isoformat()
    later = to_dict(replace(enough, as_of=AS_OF + timedelta(days=20)), AS_OF, first)
    assert later["judged_since"] == AS_OF.isoformat()
    assert "waiting since 2026-03-13" in (blocks_replacement(later, 8, AS_OF + timedelta(days=27)) or "")
    assert blocks_replacement(later, 8, AS_OF + timedelta(days=28)) is None
    assert blocks_replacement(later, 9, AS_OF + timedelta(days=28)), "another candidate, not judged yet"
    truth, _ = season()
    refused = to_dict(evaluate(evidence(candidate=towards_thirds(truth, 0.3))), AS_OF, young)
    assert blocks_replacement(refused, 8, AS_OF) is None


def test_nothing_staged_is_exported_as_shut(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_json("reports/gate.json", no_candidate_document(7, Policy.MANUAL, AS_OF))
    exported = {
        (sample.name, *sample.labels.values()): sample.value
        for family in ReportCollector(lake).collect()
        for sample in family.samples
    }
    assert exported["touchline_promotion_gate_passed",] == 0
    assert exported["touchline_alias_version", "production"] == 7
    assert not {("touchline_alias_version", alias) for alias in ("staging", "previous")} & set(exported)


def test_the_document_feeds_the_exporter(tmp_path: Path) -> None:
    verdict: GateDecision = evaluate(evidence(policy=Policy.MANUAL))
    lake = Lake(str(tmp_path))
    lake.write_json("reports/gate.json", to_dict(verdict, AS_OF, previous=6))
    exported = {
        (sample.name, *sample.labels.values()): sample.value
        for family in ReportCollector(lake).collect()
        for sample in family.samples
    }
    assert exported["touchline_promotion_gate_passed",] == 0
    assert exported["touchline_promotion_gate_condition_passed", "beats_plain_elo"] == 1
    assert exported["touchline_promotion_gate_condition_passed", "approved"] == 0
    assert exported["touchline_promotion_waiting_timestamp_seconds",] == AS_OF.timestamp()
    assert exported["touchline_alias_version", "previous"] == 6
    assert exported["touchline_alias_version", "production"] == 7
