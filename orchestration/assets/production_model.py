"""Which version forecasts, and why."""

from typing import Any

import dagster as dg
import pandas as pd

from features.errors import NotPublishedError
from features.io import reports
from features.io.clock import Clock
from features.io.registry import PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from orchestration.assets.promotion_gate import publish, shown
from orchestration.checks import CRITICAL
from orchestration.promotion import aliases
from orchestration.promotion.evidence import assess, critical_checks
from orchestration.settings import PipelineSettings
from orchestration.steps import rendering
from orchestration.steps.training import refused_as_first


@dg.asset(deps=["outcome_model", "promotion_gate"], group_name="promotion", kinds={"mlflow"}, pool="promotion")
def production_model(
    context: dg.AssetExecutionContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """The version that makes the published forecasts, and the history of promotions.

    The first version goes into production by itself if its evaluation is better than the base rate beyond doubt, and
    not worse than plain Elo beyond doubt. Every later one is promoted here when all conditions of the gate are open at
    this moment; otherwise nothing changes.
    """
    verdict = None
    current, candidate = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    if current is None and candidate is None:
        raise dg.Failure("no version is registered yet; materialise outcome_model first")
    aliases.finish(registry, lake)
    if current is None and candidate is not None:
        _must_be_good_enough(candidate, lake)
        aliases.promote_first(registry, lake, candidate, clock.as_of())
    else:
        checks = critical_checks(context.instance, CRITICAL)
        verdict = assess(lake, registry, clock.as_of(), settings.promotion_policy, checks)
        if verdict is not None and verdict.open:
            aliases.promote(registry, lake, verdict)
            context.log.info("version %d is in production", verdict.candidate)
    after = publish(context.instance, lake, registry, clock, settings)
    context.log_event(dg.AssetMaterialization("promotion_gate", metadata=after))
    return dg.MaterializeResult(
        metadata={**(shown(verdict) if verdict else {}), **describe(registry, lake)},
        data_version=dg.DataVersion(_in_production(registry)),
    )


def _in_production(registry: Registry) -> str:
    bearer = registry.by_alias(PRODUCTION)
    return str(bearer.version) if bearer else "none"


def describe(registry: Registry, lake: Lake) -> dict[str, dg.MetadataValue]:
    """Who is in production and why, all versions, and every promotion and rollback so far."""
    entry = aliases.why_in_production(registry.by_alias(PRODUCTION))
    why = f"{entry['by']}, {entry['at'][:16]}: {entry['reason']}" if entry else "nobody has written it down"
    past = pd.DataFrame([_event(one) for one in reversed(aliases.history(lake))])
    return {
        "version": dg.MetadataValue.text(_in_production(registry)),
        "because": dg.MetadataValue.text(why),
        "versions": dg.MetadataValue.md(rendering.markdown(pd.DataFrame([_row(one) for one in registry.versions()]))),
        "history": dg.MetadataValue.md(rendering.markdown(past)),
    }


def _must_be_good_enough(candidate: ModelVersion, lake: Lake) -> None:
    try:
        scores = lake.read_json(reports.evaluation_path(candidate.version))
    except NotPublishedError as error:
        raise dg.Failure(f"version {candidate.version} has no evaluation: {error}") from error
    if why := refused_as_first(scores):
        raise dg.Failure(f"version {candidate.version} is not promoted: {why}")


def _row(version: ModelVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "aliases": ", ".join(version.aliases),
        "created": version.created_at,
        "trained through": version.tags.get("trained_through", "")[:10],
        "why trained": version.tags.get("trained_because", ""),
    }


def _event(one: dict[str, Any]) -> dict[str, object]:
    """A promotion or rollback, what matters most first: a narrow window cuts the rest."""
    return {
        "at": pd.Timestamp(one["at"]),
        "version": one["version"],
        "": "promoted" if one["action"] == "promote" else "rolled back",
        "instead of": None if one["replaced"] is None else str(one["replaced"]),
        "by": one["by"],
        "why": one["reason"],
        "evidence": one["evidence"] or None,
    }
