"""The model: trained, judged, registered."""

import json
from typing import Any

import dagster as dg
import pandas as pd
from dagster._core.storage.tags import SCHEDULE_NAME_TAG, SENSOR_NAME_TAG

from features.io import reports
from features.io.clock import Clock
from features.io.registry import MODEL_NAME, PRODUCTION, STAGING, ModelVersion, Registry, Training
from features.io.store import Lake
from features.matrix import FEATURE_GROUPS
from features.models import REGULARISATION
from orchestration.promotion.evidence import APPROVAL_TAGS
from orchestration.promotion.gate_report import describe_role
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering
from orchestration.steps.training import IDENTITY, Recipe, refused_as_first, train

NO_REASON = "asked for by a person"


class TrainingConfig(dg.Config):
    """How to train; the defaults give a model that may forecast every week of the running season.

    With `blend` each rating system gets a model of its own, and these are pooled with equal weights. A version that was
    trained like this before and is no longer staged is staged again for a person who gives a reason.
    """

    regularisation: float = REGULARISATION
    include_running_season: bool = False
    blend: bool = False
    reason: str = NO_REASON


@dg.asset(deps=["match_features"], group_name="model", kinds={"mlflow", "scikitlearn"})
def outcome_model(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """A new version of the match-outcome model, registered with the alias `staging`.

    It is trained on complete seasons and judged walk-forward: each season is forecast by what was learnt before it, on
    the same matches as the base rate and plain Elo.
    """
    recipe = Recipe(
        seed=settings.seed,
        evaluate_from=settings.evaluation_first_season,
        regularisation=config.regularisation,
        include_running_season=config.include_running_season,
        features=FEATURE_GROUPS[settings.features],
        blend=config.blend,
    )
    table, features = lake_tables.matches(lake), lake_tables.features(lake)
    training = train(table, features, recipe, clock.as_of(), f"{lake.root}/match_features", config.reason)
    twin = _twin(registry, training)
    if twin is not None:
        automatic = bool({SCHEDULE_NAME_TAG, SENSOR_NAME_TAG} & set(context.run.tags))
        said = _place(registry, twin, automatic, config.reason)
        context.log.info(said)
        return dg.MaterializeResult(
            metadata={"version": twin.version, "new": False, "what_happened": said},
            data_version=dg.DataVersion(str(twin.version)),
        )
    version = registry.register(training)
    scores = json.loads(training.documents["evaluation.json"])
    summary = {
        **scores,
        "version": version.version,
        "run_id": version.run_id,
        **{name: training.tags[name] for name in ("trained_through", "trained_as_of", "data_digest", "code_revision")},
    }
    lake.write_json(reports.evaluation_path(version.version), summary)
    context.log.info("registered %s version %d", MODEL_NAME, version.version)
    return dg.MaterializeResult(
        metadata={
            "version": version.version,
            "new": True,
            "what_happened": f"version {version.version} is new, and staged",
            "trained_through": dg.MetadataValue.timestamp(version.trained_through),
            "scores": rendering.scores_table(scores["scores"]),
            "rps_by_season": dg.MetadataValue.md(rendering.markdown(pd.DataFrame(scores["rps_by_season"]))),
            "differences": dg.MetadataValue.md(rendering.markdown(_differences(scores))),
            "may_be_the_first": refused_as_first(scores) or "yes",
            "calibration": rendering.reliability_plot(scores["reliability"]),
            "mlflow_run": dg.MetadataValue.url(f"{registry.tracking_uri}/#/runs/{version.run_id}"),
            "data_digest": training.tags["data_digest"],
            "code_revision": training.tags["code_revision"],
        },
        data_version=dg.DataVersion(str(version.version)),
    )


def _differences(scores: dict[str, Any]) -> pd.DataFrame:
    """Paired differences of RPS with their 95 % intervals; below zero the model is better."""
    return pd.DataFrame([{"RPS difference to": name, **one} for name, one in scores["difference_to"].items()])


def _twin(registry: Registry, training: Training) -> ModelVersion | None:
    """The version that already is what this training would register; of several the one that has a role."""
    same = [one for one in registry.versions() if all(one.tags.get(name) == training.tags[name] for name in IDENTITY)]
    return max(same, key=lambda one: (PRODUCTION in one.aliases, STAGING in one.aliases, one.version), default=None)


def _place(registry: Registry, twin: ModelVersion, automatic: bool, reason: str) -> str:
    """Stage a version again if a person wants it and says why; returns what came of it.

    What was rolled back, or has lost its place, never comes back by itself.
    """
    same = f"version {twin.version} was made from the same data by the same recipe"
    if {PRODUCTION, STAGING} & set(twin.aliases):
        return f"{same} and {describe_role(twin)}; nothing to add"
    if automatic or reason.strip() in ("", NO_REASON):
        return f"{same} and {describe_role(twin)}; only a training by hand with a `reason` stages it again"
    registry.remove_tags(twin.version, APPROVAL_TAGS)  # it was given to what was known then
    registry.set_tags(twin.version, {"staged_again_because": reason})
    registry.set_alias(STAGING, twin.version)
    return f"{same} and {describe_role(twin)}; it is staged again: {reason}"
