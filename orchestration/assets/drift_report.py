"""Drift: whether the latest matches still resemble those the model was trained on."""

from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from features.io import report_files
from features.io.clock import Clock
from features.io.promotion_log import version_to_serve
from features.io.registry import LoadedModel, Registry
from features.io.store import Lake, week_of
from features.matches import OUTCOMES, Status
from features.matrix import COVERAGE_FEATURES, ODDS_FEATURES
from orchestration.partitions import weeks
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering
from orchestration.steps.training import content_hash
from orchestration.steps.weekly_forecasts import monday


def monitored_columns(lake: Lake, model: LoadedModel) -> pd.DataFrame:
    """Features of all played matches, with one model's forecasts for them.

    Forecasts that this version published are used as they are; all others are recomputed. Forecasts of an earlier
    version would show the change of model as drift of the data.
    """
    frame = lake_tables.features(lake)
    frame = frame[frame["status"] == Status.PLAYED].reset_index(drop=True)
    x = frame[list(model.features)].to_numpy(float)
    p = model.predict_proba(x) if len(x) else np.zeros((0, len(OUTCOMES)))  # before the first round of a new league
    forecasts = pd.DataFrame(p, frame["match_id"], list(OUTCOMES))
    rows = lake_tables.read_weeks(lake, "forecasts")
    by_model = rows[rows["model_version"] == model.version.version].sort_values("published_at")
    published = by_model.drop_duplicates("match_id", keep="last").set_index("match_id")[list(OUTCOMES)]
    forecasts.update(published)
    columns = frame[["match_id", "competition", "season", "kick_off", *_monitored_features(model)]]
    return columns.assign(
        as_published=columns["match_id"].isin(published.index),
        **{outcome: forecasts[outcome].to_numpy() for outcome in OUTCOMES},
    )


def _monitored_features(model: LoadedModel) -> list[str]:
    """The features tested for drift.

    Odds may be missing; their drift shows in the forecasts made from them. So does that of the coverage, which falls
    each summer and rises with every round.
    """
    return [name for name in model.features if name not in (*ODDS_FEATURES, *COVERAGE_FEATURES)]


@dg.asset(
    partitions_def=weeks,
    deps=[
        "forecasts",  # earlier weeks are read too; mapping them would make Dagster rerun all weeks for each new one
        dg.AssetDep("match_features", partition_mapping=dg.AllPartitionMapping()),
        "outcome_model",
    ],
    group_name="evaluation",
    kinds={"evidently"},
)
def drift_report(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> None:
    """Drift of features and forecasts: the latest hundred matches of a competition against the three seasons before.

    It covers the features of the version in production and the forecasts that this version has published. The report
    names the statistical test, its rate of false alarms and the shifts it detects. After drift, a person must review
    the report (job `review_drift`) before the next promotion. A run for several weeks writes the same reports as one
    run per week.
    """
    production, _ = version_to_serve(registry, lake, settings.require_promotion_decision)
    if production is None:
        raise dg.Failure(
            "no version is in production, so there are no forecasts to report on; run the job train_model first"
        )
    if future := [week for week in context.partition_keys if monday(week) > clock.as_of()]:
        raise dg.Failure(
            f"the week of {future[0]} has not begun at {clock.as_of():%Y-%m-%d %H:%M} UTC; the latest possible week "
            f"is that of {week_of(clock.as_of())}"
        )
    model = registry.load(production)
    frame = monitored_columns(lake, model)
    for week in context.partition_keys:
        summary = _publish(lake, frame, week, (*_monitored_features(model), *OUTCOMES))
        context.add_asset_metadata(_metadata(summary, lake, settings.public_api_url), partition_key=week)
        context.log.info("week of %s: %s", week, summary["state"])


def _publish(lake: Lake, frame: pd.DataFrame, week: str, columns: tuple[str, ...]) -> dict[str, Any]:
    """Write a week's report and summary; returns the summary."""
    from monitoring.drift import drift_report as compare

    report = compare(frame, week, _calibration(lake, frame, week, columns))
    lake.write_bytes(report_files.drift_page_path(week), report.html.encode())
    lake.write_json(report_files.drift_summary_path(week), report.summary)
    return report.summary


def _metadata(summary: dict[str, Any], lake: Lake, api: str) -> dict[str, Any]:
    """The report as Dagster metadata."""
    week = summary["week"]
    return {
        "state": summary["state"],
        "share": summary["share"] if summary["share"] is not None else "no verdict",
        "matches": summary["matches"],
        "evidence": summary["digest"],
        "columns": dg.MetadataValue.md(rendering.markdown(pd.DataFrame(summary["columns"]))),
        "report": _link(api, f"/monitoring/drift/{week}/report"),
        "in_the_lake": dg.MetadataValue.path(f"{lake.root}/{report_files.drift_page_path(week)}"),
    }


def _link(api: str, path: str) -> dg.MetadataValue[Any]:
    """A link to the API, or the path alone if the address of the API is not set."""
    return dg.MetadataValue.url(f"{api.rstrip('/')}{path}") if api else dg.MetadataValue.text(f"GET {path} of the API")


def _calibration(lake: Lake, frame: pd.DataFrame, week: str, columns: tuple[str, ...]):  # type: ignore[no-untyped-def]  # a type of a lazy import
    """Drift thresholds, calibrated on the seasons before that of the week. Cached, since calibration takes seconds."""
    from monitoring.drift import DriftCalibration, calibrate

    known = frame[frame["kick_off"] < monday(week)]
    history = known[known["season"] < known["season"].max()] if len(known) else known
    history = history[["match_id", "competition", "season", "kick_off", *columns]]
    path = report_files.drift_calibration_path(content_hash(history))
    cached = lake_tables.read_report(lake, path)
    if cached is not None:
        return DriftCalibration(**{**cached, "seasons": tuple(cached["seasons"])})
    calibration = calibrate(history, columns)
    lake.write_json(path, asdict(calibration))
    return calibration
