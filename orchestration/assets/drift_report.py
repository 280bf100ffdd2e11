"""Whether the latest matches still look like those the model knows."""

from dataclasses import asdict

import dagster as dg
import pandas as pd

from features.io.clock import Clock
from features.io.registry import PRODUCTION, LoadedModel, Registry
from features.io.store import Lake
from features.matches import OUTCOMES, Status
from orchestration import display, published
from orchestration.partitions import weeks
from orchestration.publishing import monday
from orchestration.training import digest


def watched(lake: Lake, model: LoadedModel) -> pd.DataFrame:
    """Features of all played matches, and what one model makes of them, so that only the matches differ."""
    frame = published.features(lake)
    frame = frame[frame["status"] == Status.PLAYED].reset_index(drop=True)
    p = model.predict_proba(frame[list(model.features)].to_numpy(float))
    return frame.assign(**{outcome: p[:, column] for column, outcome in enumerate(OUTCOMES)})


@dg.asset(
    partitions_def=weeks,
    deps=["forecasts", dg.AssetDep("match_features", partition_mapping=dg.AllPartitionMapping())],
    group_name="judgement",
    kinds={"evidently"},
)
def drift_report(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Drift of the features and forecasts of the latest hundred matches against the three seasons before.

    The report's page says which test is used, how often it cries wolf and what it catches. A week that drifted wants a
    person's eye: job `review_drift`.
    """
    from monitoring.drift import drift_report as compare

    week = context.partition_key
    production = registry.by_alias(PRODUCTION)
    if production is None:
        raise dg.Failure("no version is in production; there are no forecasts whose drift could be watched")
    if monday(week) > clock.as_of():
        raise dg.Failure(f"the week of {week} has not begun at {clock.as_of():%Y-%m-%d %H:%M} UTC")
    frame = watched(lake, registry.load(production))
    report = compare(frame, week, _trust(lake, frame, week))
    lake.write_bytes(f"reports/drift/week={week}/report.html", report.html.encode())
    lake.write_json(f"reports/drift/week={week}/summary.json", report.summary)
    columns = pd.DataFrame(report.summary["columns"])
    return dg.MaterializeResult(
        metadata={
            "state": report.summary["state"],
            "share": report.summary["share"] if report.summary["share"] is not None else "no verdict",
            "matches": report.summary["matches"],
            "columns": dg.MetadataValue.md(display.markdown(columns)),
            "report": dg.MetadataValue.path(f"{lake.root}/reports/drift/week={week}/report.html"),
            "served_at": dg.MetadataValue.md(f"`GET /monitoring/drift/{week}/report` of the API"),
        }
    )


def _trust(lake: Lake, frame: pd.DataFrame, week: str):  # type: ignore[no-untyped-def]  # a type of a lazy import
    """Thresholds from the seasons before the one of the week; they take seconds to measure and are kept."""
    from monitoring.drift import Trust, measure

    known = frame[frame["kick_off"] < monday(week)]
    history = known[known["season"] < known["season"].max()] if len(known) else known
    path = f"reports/drift/trust/{digest(history.drop(columns='status'))}.json"
    kept = published.document(lake, path)
    if kept is not None:
        return Trust(**{**kept, "seasons": tuple(kept["seasons"])})
    trust = measure(history)
    lake.write_json(path, asdict(trust))
    return trust
