"""Training: a new version of the model, evaluated and registered."""

import json
from typing import Any

import dagster as dg
import pandas as pd

from features.errors import InvalidInputError
from features.io import report_files, submissions
from features.io.clock import Clock
from features.io.installed_recipes import InstalledRecipes
from features.io.registry import MODEL_NAME, PRODUCTION, STAGING, ModelVersion, Registry, TrainingRun
from features.io.store import Lake
from features.matrix import FEATURE_GROUPS
from features.models import REGULARISATION
from features.recipes import Recipe
from orchestration.promotion.evidence import APPROVAL_TAGS
from orchestration.promotion.gate_report import describe_role
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering
from orchestration.steps.training import IDENTITY, TrainingOptions, first_version_verdict, train

DEFAULT_REASON = "requested by a person"

AUTOMATIC_RUN_TAGS = {"dagster/schedule_name", "dagster/sensor_name"}
"""Tags that Dagster sets on a run requested by a schedule or a sensor."""


class TrainingConfig(dg.Config):
    """How to train. The defaults give a model that may forecast every week of the current season.

    With `blend`, each rating system gets its own model, and the models are pooled with equal weights. `recipe` is the
    name of an installed recipe; its model is trained instead of the platform's own. `submission` is the id of an
    estimator that was submitted with `features.api`; a sensor launches its training. If the same training has been done
    before and its version is no longer staged, a `reason` stages that version again.
    """

    regularisation: float = REGULARISATION
    include_running_season: bool = False
    blend: bool = False
    recipe: str = ""
    submission: str = ""
    reason: str = DEFAULT_REASON


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

    It is trained on complete seasons and evaluated walk-forward: each season is forecast by a model that was trained on
    the seasons before it, on the same matches as the base rate and plain Elo.
    """
    if not config.submission:
        return _train(context, config, lake, registry, clock, settings)
    with submissions.recorded_outcome(lake, config.submission) as outcome:
        result = _train(context, config, lake, registry, clock, settings)
        metadata = result.metadata or {}
        outcome |= {field: metadata[field] for field in ("version", "what_happened")}
    return result


def _train(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    lake: Lake,
    registry: Registry,
    clock: Clock,
    settings: PipelineSettings,
) -> dg.MaterializeResult[None]:
    """Train and register; returns what Dagster shows."""
    name, recipe, reason = _model_to_train(config, settings, lake)
    options = _options(config, settings, name, recipe)
    table, features = lake_tables.matches(lake), lake_tables.features(lake)
    training = train(table, features, options, clock.as_of(), f"{lake.root}/match_features", reason, recipe)
    # a sensor launches the training of a submission, but a person submitted it
    automatic = not config.submission and bool(AUTOMATIC_RUN_TAGS & set(context.run.tags))
    return _register(context, lake, registry, training, automatic, reason)


def _register(
    context: dg.AssetExecutionContext,
    lake: Lake,
    registry: Registry,
    training: TrainingRun,
    automatic: bool,
    reason: str,
) -> dg.MaterializeResult[None]:
    """Register a training, or stage the version that it would reproduce; returns what Dagster shows."""
    identical = _find_identical_version(registry, training)
    if identical is not None:
        outcome = _restage(registry, identical, automatic, reason)
        context.log.info(outcome)
        return dg.MaterializeResult(
            metadata={"version": identical.version, "new": False, "what_happened": outcome},
            data_version=dg.DataVersion(str(identical.version)),
        )
    scores = json.loads(training.documents["evaluation.json"])
    names = ("trained_through", "trained_as_of", "data_digest", "code_revision")
    described = {name: training.tags[name] for name in names}

    def publish_evaluation(version: ModelVersion) -> None:
        summary = {**scores, "version": version.version, "run_id": version.run_id, **described}
        lake.write_json(report_files.evaluation_path(version.version), summary)

    version = registry.register(training, before_staging=publish_evaluation)
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
            "may_be_the_first": _role_as_the_first(scores),
            "recipe": json.loads(training.tags["recipe"])["model_recipe"] or "the platform's own",
            "shrunk_towards": training.tags["shrunk_towards"],
            "calibration": rendering.reliability_plot(scores["reliability"]),
            "mlflow_run": dg.MetadataValue.url(f"{registry.tracking_uri}/#/runs/{version.run_id}"),
            "data_digest": training.tags["data_digest"],
            "code_revision": training.tags["code_revision"],
        },
        data_version=dg.DataVersion(str(version.version)),
    )


def _model_to_train(config: TrainingConfig, settings: PipelineSettings, lake: Lake) -> tuple[str, Recipe | None, str]:
    """The name and recipe of the model, none for the platform's own, and the reason for the training."""
    if config.submission and config.recipe:
        raise InvalidInputError("a training has either a recipe or a submission")
    if config.submission:
        submission = submissions.read(lake, config.submission)
        return submission.name, submissions.load_recipe(lake, submission), submission.reason
    recipe = InstalledRecipes(settings.recipes).get(config.recipe) if config.recipe else None
    return config.recipe, recipe, config.reason


def _options(config: TrainingConfig, settings: PipelineSettings, name: str, recipe: Recipe | None) -> TrainingOptions:
    """The options of a training; those of the platform's own model cannot be combined with a recipe."""
    options = TrainingOptions(
        seed=settings.seed,
        evaluate_from=settings.evaluation_first_season,
        regularisation=config.regularisation,
        include_running_season=config.include_running_season,
        features=FEATURE_GROUPS[settings.features],
        blend=config.blend,
    )
    if recipe is None:
        return options
    if config.blend or config.regularisation != REGULARISATION:
        raise InvalidInputError("regularisation and blend are options of the platform's own model, not of a recipe")
    return options.with_recipe(name, recipe)


def _role_as_the_first(scores: dict[str, Any]) -> str:
    """Whether the version may be the first in production, and whether it is provisional there."""
    verdict = first_version_verdict(scores)
    if verdict.rejection:
        return f"no: {verdict.rejection}"
    return f"yes, provisional: {verdict.provisional.reason}" if verdict.provisional else "yes"


def _differences(scores: dict[str, Any]) -> pd.DataFrame:
    """Paired differences of RPS with 95 % intervals; the model is better if they are below zero."""
    return pd.DataFrame(
        [{"RPS difference to": name, **difference} for name, difference in scores["difference_to"].items()]
    )


def _find_identical_version(registry: Registry, training: TrainingRun) -> ModelVersion | None:
    """The version that this training would reproduce; if there are several, one with an alias."""
    identical = [
        version
        for version in registry.versions()
        if all(version.tags.get(name) == training.tags[name] for name in IDENTITY)
    ]
    return max(
        identical,
        key=lambda version: (PRODUCTION in version.aliases, STAGING in version.aliases, version.version),
        default=None,
    )


def _restage(registry: Registry, version: ModelVersion, automatic: bool, reason: str) -> str:
    """Stage a version again if a person requests it with a reason; returns a sentence about the outcome.

    A version that was rolled back or replaced never returns automatically.
    """
    same = f"version {version.version} has the same data and recipe"
    if {PRODUCTION, STAGING} & set(version.aliases):
        return f"{same} and {describe_role(version)}; nothing to add"
    if automatic or reason.strip() in ("", DEFAULT_REASON):
        return f"{same} and {describe_role(version)}; only a manual training with a `reason` stages it again"
    registry.remove_tags(version.version, APPROVAL_TAGS)  # an old approval was given on old evidence
    registry.set_tags(version.version, {"staged_again_because": reason})
    registry.set_alias(STAGING, version.version)
    return f"{same} and {describe_role(version)}; it is staged again: {reason}"
