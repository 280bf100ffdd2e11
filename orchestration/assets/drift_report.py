"""Whether the latest matches still look like those the model knows."""

from dataclasses import asdict
from typing import Any

import dagster as dg
import pandas as pd

from features.io import reports
from features.io.clock import Clock
from features.io.registry import PRODUCTION, LoadedModel, Registry
from features.io.store import Lake, week_of
from features.matches import OUTCOMES, Status
from features.matrix import ODDS_FEATURES
from orchestration.partitions import weeks
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering
from orchestration.steps.training import content_hash
from orchestration.steps.weekly_forecasts import monday


def watched(lake: Lake, model: LoadedModel) -> pd.DataFrame:
    """Features of all played matches, and the forecasts of one model: as published, else as it would have made them.

    What an earlier version published is no matter of drift: there the model has changed, and not the matches.
    """
    frame = lake_tables.features(lake)
    frame = frame[frame["status"] == Status.PLAYED].reset_index(drop=True)
    made = pd.DataFrame(
        model.predict_proba(frame[list(model.features)].to_numpy(float)), frame["match_id"], list(OUTCOMES)
    )
    rows = lake_tables.read_weeks(lake, "forecasts")
    mine = rows[rows["model_version"] == model.version.version].sort_values("published_at")
    stands = mine.drop_duplicates("match_id", keep="last").set_index("match_id")[list(OUTCOMES)]
    made.update(stands)
    kept = frame[["match_id", "competition", "season", "kick_off", *_features(model)]]
    return kept.assign(
        as_published=kept["match_id"].isin(stands.index), **{one: made[one].to_numpy() for one in OUTCOMES}
    )


def _features(model: LoadedModel) -> list[str]:
    """The features that are watched. Odds, which a match may lack, show in the forecasts that are made of them."""
    return [name for name in model.features if name not in ODDS_FEATURES]


@dg.asset(
    partitions_def=weeks,
    deps=[
        "forecasts",  # and those of the weeks before; told so, Dagster would report on all weeks wherever one is chosen
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

    The features are those that the version in production uses, the forecasts those that it has published. The report's
    page says which test is used, how often it cries wolf and what it catches. A week that drifted wants a person's eye:
    job `review_drift`. Of several weeks each gets the report that it would get by itself.
    """
    production = registry.by_alias(PRODUCTION)
    if production is None:
        raise dg.Failure("no version is in production; there are no forecasts whose drift could be watched")
    if to_come := [week for week in context.partition_keys if monday(week) > clock.as_of()]:
        raise dg.Failure(
            f"the week of {to_come[0]} has not begun at {clock.as_of():%Y-%m-%d %H:%M} UTC; the last one that can be "
            f"reported on is that of {week_of(clock.as_of())}"
        )
    model = registry.load(production)
    frame = watched(lake, model)
    for week in context.partition_keys:
        summary = _publish(lake, frame, week, (*_features(model), *OUTCOMES))
        context.add_asset_metadata(_shown(summary, lake, settings.api_url), partition_key=week)
        context.log.info("week of %s: %s", week, summary["state"])


def _publish(lake: Lake, frame: pd.DataFrame, week: str, columns: tuple[str, ...]) -> dict[str, Any]:
    """Write a week's report and summary; returns the summary."""
    from monitoring.drift import drift_report as compare

    report = compare(frame, week, _trust(lake, frame, week, columns))
    lake.write_bytes(reports.drift_page_path(week), report.html.encode())
    lake.write_json(reports.drift_summary_path(week), report.summary)
    return report.summary


def _shown(summary: dict[str, Any], lake: Lake, api: str) -> dict[str, Any]:
    """What a person is shown of a report."""
    week = summary["week"]
    return {
        "state": summary["state"],
        "share": summary["share"] if summary["share"] is not None else "no verdict",
        "matches": summary["matches"],
        "columns": dg.MetadataValue.md(rendering.markdown(pd.DataFrame(summary["columns"]))),
        "report": _link(api, f"/monitoring/drift/{week}/report"),
        "in_the_lake": dg.MetadataValue.path(f"{lake.root}/{reports.drift_page_path(week)}"),
    }


def _link(api: str, path: str) -> dg.MetadataValue[Any]:
    """A link that opens in the browser, or where it would be found if the address of the API were known."""
    return dg.MetadataValue.url(f"{api.rstrip('/')}{path}") if api else dg.MetadataValue.text(f"GET {path} of the API")


def _trust(lake: Lake, frame: pd.DataFrame, week: str, columns: tuple[str, ...]):  # type: ignore[no-untyped-def]  # a type of a lazy import
    """Thresholds from the seasons before the one of the week; they take seconds to measure and are kept."""
    from monitoring.drift import DriftCalibration, calibrate

    known = frame[frame["kick_off"] < monday(week)]
    history = known[known["season"] < known["season"].max()] if len(known) else known
    history = history[["match_id", "competition", "season", "kick_off", *columns]]
    path = reports.drift_calibration_path(content_hash(history))
    kept = lake_tables.read_report(lake, path)
    if kept is not None:
        return DriftCalibration(**{**kept, "seasons": tuple(kept["seasons"])})
    trust = calibrate(history, columns)
    lake.write_json(path, asdict(trust))
    return trust
