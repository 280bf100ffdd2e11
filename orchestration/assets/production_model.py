"""The version that makes the published forecasts, and why."""

import dagster as dg

from features.errors import NotPublishedError
from features.io import promotion_log, report_files
from features.io.clock import Clock
from features.io.registry import PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from monitoring.first_version import Provisional
from orchestration.checks import CRITICAL
from orchestration.promotion import aliases
from orchestration.promotion.evidence import critical_checks, evaluate_candidate
from orchestration.promotion.gate_report import gate_metadata, publish_gate_report
from orchestration.promotion.production_report import production_metadata, production_version
from orchestration.settings import PipelineSettings
from orchestration.steps.training import first_version_verdict


@dg.asset(deps=["outcome_model", "promotion_gate"], group_name="promotion", kinds={"mlflow"}, pool="promotion")
def production_model(
    context: dg.AssetExecutionContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """The version that makes the published forecasts, and the history of promotions.

    The first version goes into production automatically unless it is significantly worse than the base rate or plain
    Elo. It is provisional until enough matches show that it is better than the base rate. A later version is promoted
    if every condition of the promotion gate passes during the run; otherwise nothing changes.
    """
    verdict = None
    aliases.complete_promotion(registry, lake)
    current, candidate = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    if current is None and candidate is None and not promotion_log.history(lake):
        raise dg.Failure("no version is registered yet; run the job train_model first")
    if current is None and candidate is not None and _is_first(candidate, lake):
        aliases.promote_first(registry, lake, candidate, clock.as_of(), _judge_first(candidate, lake))
    else:
        checks = critical_checks(context.instance, CRITICAL)
        verdict = evaluate_candidate(lake, registry, clock.as_of(), settings.promotion_policy, checks)
        if verdict is not None and verdict.passed:
            aliases.promote(registry, lake, verdict)
            context.log.info("version %d is in production", verdict.candidate)
    gate = publish_gate_report(context.instance, lake, registry, clock, settings)
    context.log_event(dg.AssetMaterialization("promotion_gate", metadata=gate))
    return dg.MaterializeResult(
        metadata={**(gate_metadata(verdict) if verdict else {}), **production_metadata(registry, lake)},
        data_version=dg.DataVersion(production_version(registry)),
    )


def _is_first(candidate: ModelVersion, lake: Lake) -> bool:
    """Whether no version of this registry was in production before.

    Otherwise, whoever deletes the version in production would let the candidate past the gate. If the registry itself
    was replaced, the log names versions that are not older than its first candidate.
    """
    return not any(entry["version"] < candidate.version for entry in promotion_log.history(lake))


def _judge_first(candidate: ModelVersion, lake: Lake) -> Provisional | None:
    """Why the first version is provisional, None if it is not; raises dg.Failure if it may not go into production."""
    try:
        scores = lake.read_json(report_files.evaluation_path(candidate.version))
    except NotPublishedError as error:
        raise dg.Failure(f"version {candidate.version} has no evaluation: {error}") from error
    verdict = first_version_verdict(scores)
    if verdict.rejection:
        raise dg.Failure(f"version {candidate.version} was not promoted: {verdict.rejection}")
    return verdict.provisional
