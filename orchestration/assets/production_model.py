"""The version that makes the published forecasts, and why."""

import dagster as dg

from features.errors import NotPublishedError
from features.io import report_files
from features.io.clock import Clock
from features.io.registry import PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from orchestration.checks import CRITICAL
from orchestration.promotion import aliases
from orchestration.promotion.evidence import critical_checks, evaluate_candidate
from orchestration.promotion.gate_report import gate_metadata, publish_gate_report
from orchestration.promotion.production_report import production_metadata, production_version
from orchestration.settings import PipelineSettings
from orchestration.steps.training import first_version_rejection


@dg.asset(deps=["outcome_model", "promotion_gate"], group_name="promotion", kinds={"mlflow"}, pool="promotion")
def production_model(
    context: dg.AssetExecutionContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """The version that makes the published forecasts, and the history of promotions.

    The first version goes into production automatically if it is significantly better than the base rate and not
    significantly worse than plain Elo. A later version is promoted if every condition of the promotion gate passes
    during the run; otherwise nothing changes.
    """
    verdict = None
    current, candidate = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    if current is None and candidate is None:
        raise dg.Failure("no version is registered yet; run the job train_model first")
    aliases.complete_promotion(registry, lake)
    if current is None and candidate is not None:
        _require_good_evaluation(candidate, lake)
        aliases.promote_first(registry, lake, candidate, clock.as_of())
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


def _require_good_evaluation(candidate: ModelVersion, lake: Lake) -> None:
    try:
        scores = lake.read_json(report_files.evaluation_path(candidate.version))
    except NotPublishedError as error:
        raise dg.Failure(f"version {candidate.version} has no evaluation: {error}") from error
    if reason := first_version_rejection(scores):
        raise dg.Failure(f"version {candidate.version} was not promoted: {reason}")
