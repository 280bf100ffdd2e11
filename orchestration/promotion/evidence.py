"""Collects the evidence on the candidate from the lake, the registry and the data checks, and evaluates the gate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import dagster as dg
import pandas as pd

from features.errors import ModelUnavailableError
from features.io import report_files
from features.io.registry import PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from features.matches import Status
from monitoring.conditions import Approval, Condition, Evidence, Policy
from monitoring.gate import GateDecision, evaluate
from monitoring.settlement import SCHEMA, settle
from orchestration._dagster_internals import check_history
from orchestration.partitions import PARTITION, RANGE_END, RANGE_START, weeks_from
from orchestration.steps import lake_tables
from orchestration.steps.baselines import plain_elo

APPROVAL_TAGS = ("approved_by", "approved_because", "approved_evidence", "approved_at")

CANDIDATE_REQUIRED = {
    "candidate_waiting": "a version that is not in production",
    "trained_by_touchline": "a version with the tags of the job train_model",
}
"""What is required of a candidate before it is compared, by condition."""

_MAX_CHECK_RESULTS = 200
"""Results to read per check: enough for every week of a season, or for a few competitions over years."""


def evaluate_candidate(
    lake: Lake, registry: Registry, as_of: datetime, policy: Policy, checks: Mapping[str, bool]
) -> GateDecision | None:
    """Evaluate the version in `staging`; None while nothing is staged."""
    candidate, production = registry.by_alias(STAGING), registry.by_alias(PRODUCTION)
    if candidate is None:
        return None
    if production is not None and candidate.version == production.version:
        why = f"version {production.version} is in production already; nothing newer is staged"
        return _single_failure("candidate_waiting", production, production, why, as_of, policy)
    try:
        trained_through = candidate.trained_through
    except ModelUnavailableError as error:
        return _single_failure("trained_by_touchline", candidate, production, str(error), as_of, policy)
    matches, rows = lake_tables.matches(lake), lake_tables.read_weeks(lake, "shadow_forecasts")
    shadows = settled_shadows(lake, rows, matches, as_of)
    week = report_files.latest_drift_week(lake)
    return evaluate(
        Evidence(
            candidate=candidate.version,
            candidate_run=candidate.run_id,
            trained_through=trained_through,
            settled=shadows[shadows["model_version"] == candidate.version].reset_index(drop=True),
            production=production.version if production else None,
            production_settled=_of_production(lake_tables.settled_forecasts(lake), shadows, production.version)
            if production
            else None,
            checks=checks,
            drift=report_files.drift_summary(lake, week) if week else None,
            review=lake_tables.read_report(lake, report_files.drift_review_path(week)) if week else None,
            as_of=as_of,
            policy=policy,
            approval=approval_of(candidate),
            shadow_forecasts=int((rows["model_version"] == candidate.version).sum()),
            upcoming_matches=int(((matches["status"] == Status.SCHEDULED) & (matches["kick_off"] > as_of)).sum()),
        )
    )


def settled_shadows(lake: Lake, rows: pd.DataFrame, matches: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Shadow forecasts of every version, scored by the same rules as published ones."""
    if rows.empty:
        return lake_tables.empty_table(SCHEMA)
    elo = plain_elo(matches, lake_tables.features(lake), set(rows["season"]))
    parts = [settle(part, matches, elo, as_of).settled for _, part in rows.groupby("model_version")]
    return pd.concat(parts, ignore_index=True)


def _of_production(settled: pd.DataFrame, shadows: pd.DataFrame, version: int) -> pd.DataFrame:
    """Settled forecasts of the version in production: published ones, and shadow ones from before its promotion."""
    rows = [part[part["model_version"] == version] for part in (settled, shadows)]
    return pd.concat(rows, ignore_index=True).drop_duplicates("match_id")


def approval_of(version: ModelVersion) -> Approval | None:
    """The approval recorded in the tags of a version; None if there is none."""
    tags = version.tags
    if any(name not in tags for name in APPROVAL_TAGS):
        return None
    at = datetime.fromisoformat(tags["approved_at"])
    return Approval(version.version, tags["approved_by"], tags["approved_because"], tags["approved_evidence"], at)


def _single_failure(
    name: str, candidate: ModelVersion, production: ModelVersion | None, why: str, as_of: datetime, policy: Policy
) -> GateDecision:
    """The decision on a version that cannot be compared, whatever its forecasts are."""
    condition = Condition(name, False, f"version {candidate.version}", CANDIDATE_REQUIRED[name], why)
    in_production = production.version if production else None
    return GateDecision(candidate.version, in_production, policy, as_of, 0, (condition,))


def critical_checks(instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]) -> dict[str, bool]:
    """By name of each critical check that has run: whether it passed in the newest run of every partition.

    A check that was planned but did not run has not passed. A run of a partitioned asset without a partition always
    fails; it is ignored once there are results of partitions.
    """
    history = {key: check_history(instance, key, _MAX_CHECK_RESULTS) for key in keys}
    run_ids = {run_id for results in history.values() for run_id, _ in results}
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(run_ids))) if run_ids else []
    partitions = {run.run_id: _partitions(run) for run in runs}
    passed: dict[str, bool] = {}
    for key, results in history.items():
        newest: dict[str | None, bool] = {}
        for run_id, success in results:  # newest first
            for partition in partitions.get(run_id, (None,)):
                newest.setdefault(partition, success)
        if len(newest) > 1:
            newest.pop(None, None)
        if newest:
            passed[f"{key.asset_key.to_user_string()}: {key.name}"] = all(newest.values())
    return passed


def _partitions(run: dg.DagsterRun) -> tuple[str | None, ...]:
    """The partitions that a run covered, from its tags, since the records of checks do not name them."""
    if first := run.tags.get(RANGE_START):
        return tuple(weeks_from(first).get_partition_keys_in_range(dg.PartitionKeyRange(first, run.tags[RANGE_END])))
    return (run.tags.get(PARTITION),)
