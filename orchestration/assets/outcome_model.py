"""The model: trained, judged, registered."""

import json
from typing import Any

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.registry import MODEL_NAME, Registry, Training
from features.io.store import Lake
from features.matrix import FEATURE_GROUPS
from features.models import REGULARISATION
from orchestration import display, published
from orchestration.settings import PipelineSettings
from orchestration.training import IDENTITY, Recipe, refused_as_first, train


class TrainingConfig(dg.Config):
    """How to train; the defaults give a model that may forecast every week of the running season.

    With `blend` each rating system gets a model of its own, and these are pooled with equal weights.
    """

    regularisation: float = REGULARISATION
    include_running_season: bool = False
    blend: bool = False
    reason: str = "asked for by a person"


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
        evaluate_from=settings.evaluate_from,
        regularisation=config.regularisation,
        include_running_season=config.include_running_season,
        features=FEATURE_GROUPS[settings.features],
        blend=config.blend,
    )
    table, features = published.matches(lake), published.features(lake)
    training = train(table, features, recipe, clock.as_of(), f"{lake.root}/match_features", config.reason)
    twin = _twin(registry, training)
    if twin is not None:
        context.log.info("version %d was made from the same data by the same recipe; nothing to add", twin)
        return dg.MaterializeResult(metadata={"version": twin, "new": False})
    version = registry.register(training)
    scores = json.loads(training.documents["evaluation.json"])
    summary = {
        **scores,
        "version": version.version,
        "run_id": version.run_id,
        **{name: training.tags[name] for name in ("trained_through", "trained_as_of", "data_digest", "code_revision")},
    }
    lake.write_json(f"reports/evaluation/version={version.version}/summary.json", summary)
    context.log.info("registered %s version %d", MODEL_NAME, version.version)
    return dg.MaterializeResult(
        metadata={
            "version": version.version,
            "new": True,
            "trained_through": dg.MetadataValue.timestamp(version.trained_through),
            "scores": display.scores_table(scores["scores"]),
            "rps_by_season": dg.MetadataValue.md(display.markdown(pd.DataFrame(scores["rps_by_season"]))),
            "differences": dg.MetadataValue.md(display.markdown(_differences(scores))),
            "may_be_the_first": refused_as_first(scores) or "yes",
            "calibration": display.reliability_plot(scores["reliability"]),
            "mlflow_run": dg.MetadataValue.url(f"{registry.tracking_uri}/#/runs/{version.run_id}"),
            "data_digest": training.tags["data_digest"],
            "code_revision": training.tags["code_revision"],
        },
        data_version=dg.DataVersion(str(version.version)),
    )


def _differences(scores: dict[str, Any]) -> pd.DataFrame:
    """Paired differences of RPS with their 95 % intervals; below zero the model is better."""
    return pd.DataFrame([{"RPS difference to": name, **one} for name, one in scores["difference_to"].items()])


def _twin(registry: Registry, training: Training) -> int | None:
    """The newest version, if it already is what this training would register."""
    newest = max(registry.versions(), key=lambda one: one.version, default=None)
    same = newest is not None and all(newest.tags.get(name) == training.tags[name] for name in IDENTITY)
    return newest.version if newest is not None and same else None
