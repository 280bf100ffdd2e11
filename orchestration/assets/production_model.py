"""Which version forecasts, and why."""

import dagster as dg
import pandas as pd

from features.errors import NotPublished
from features.io.registry import PRODUCTION, STAGING, ModelVersion, Registry
from features.io.store import Lake
from orchestration import display
from orchestration.training import beats_references


@dg.asset(deps=["outcome_model"], group_name="model", kinds={"mlflow"})
def production_model(
    context: dg.AssetExecutionContext, registry: dg.ResourceParam[Registry], lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[None]:
    """The version that makes the published forecasts.

    The first version that beats the base rate and plain Elo on the same matches goes into production by itself; later
    ones wait in `staging`.
    """
    current, candidate = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    if candidate is None:
        raise dg.Failure("no version is registered yet; materialise outcome_model first")
    if current is None:
        current = _first(candidate, registry, lake)
        context.log.info("version %d is the first in production", candidate.version)
    table = pd.DataFrame([_row(version) for version in registry.versions()])
    return dg.MaterializeResult(
        metadata={
            "version": current.version,
            "staging": candidate.version,
            "trained_through": dg.MetadataValue.timestamp(current.trained_through),
            "versions": dg.MetadataValue.md(display.markdown(table)),
        },
        data_version=dg.DataVersion(str(current.version)),
    )


def _first(candidate: ModelVersion, registry: Registry, lake: Lake) -> ModelVersion:
    try:
        scores = lake.read_json(f"reports/evaluation/version={candidate.version}/summary.json")
    except NotPublished as error:
        raise dg.Failure(f"version {candidate.version} has no evaluation: {error}") from error
    if not beats_references(scores):
        means = {name: round(values["rps"], 4) for name, values in scores["scores"].items()}
        raise dg.Failure(f"version {candidate.version} does not beat both references (mean RPS {means}): not promoted")
    registry.set_alias(PRODUCTION, candidate.version)
    registry.set_tags(candidate.version, {"promoted_because": "first version that beats the base rate and plain Elo"})
    return candidate


def _row(version: ModelVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "aliases": ", ".join(version.aliases),
        "created": version.created_at,
        "trained through": version.tags.get("trained_through", "")[:10],
        "why": version.tags.get("promoted_because", ""),
    }
