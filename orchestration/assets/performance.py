"""Reports on the quality of the published forecasts and on the freshness of the data."""

from typing import Any

import dagster as dg
import pandas as pd

from features.errors import NotPublishedError
from features.io import report_files
from features.io.clock import Clock
from features.io.promotion_log import version_to_serve
from features.io.registry import Registry
from features.io.sources import QUARANTINE_SCHEMA
from features.io.store import Lake
from monitoring.freshness import freshness_report
from monitoring.performance import performance_report
from orchestration.automation import EAGER_WITH_MISSING
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering
from orchestration.steps.training import reliability


@dg.asset(deps=["settled_forecasts"], automation_condition=EAGER_WITH_MISSING, group_name="evaluation", kinds={"json"})
def performance(lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]) -> dg.MaterializeResult[None]:
    """Scores of all settled forecasts against the baselines, by competition, window and model version."""
    settled = lake_tables.settled_forecasts(lake)
    document = performance_report(settled, clock.as_of())
    lake.write_json(report_files.PERFORMANCE, document)
    metadata: dict[str, Any] = {
        "matches": len(settled),
        "groups": dg.MetadataValue.md(rendering.markdown(_group_rows(document))),
        "weeks": dg.MetadataValue.md(rendering.markdown(_week_rows(document))),
    }
    if len(settled):
        p, y = settled[["home", "draw", "away"]].to_numpy(float), settled["outcome"].to_numpy(int)
        metadata["calibration"] = rendering.reliability_plot(reliability(p, y))
    return dg.MaterializeResult(metadata=metadata)


def _group_rows(document: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                **{name: group[name] for name in ("competition", "window", "model_version", "matches")},
                **{name: group["scores"]["model"][name] for name in ("rps", "log_loss", "brier", "accuracy")},
                **{f"skill vs {name}": value["skill"] for name, value in group["against"].items()},
                "calibration": f"{group['calibration']['error']:.4f} of at most {group['calibration']['limit']:.4f}",
            }
            for group in document["groups"]
        ]
    )


def _week_rows(document: dict[str, Any]) -> pd.DataFrame:
    rows = [{"week": week["week"], "matches": week["matches"], **week["rps"]} for week in document["weeks"][-12:]]
    return pd.DataFrame(rows)


@dg.asset(
    deps=["matches", "forecasts", "settled_forecasts"],
    automation_condition=EAGER_WITH_MISSING,
    group_name="evaluation",
    kinds={"json"},
)
def freshness(
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """Counts of available, overdue and missing data in the lake: the figures behind the alerts on stale data."""
    production, _ = version_to_serve(registry, lake, settings.require_promotion_decision)
    document = freshness_report(
        lake_tables.matches(lake),
        lake_tables.read_weeks(lake, "forecasts"),
        len(lake_tables.settled_forecasts(lake)),
        {name: _quarantined(lake, name) for name in lake.partitions("matches")},
        clock.as_of(),
        clock.now(),
        production.version if production else None,
    )
    lake.write_json(report_files.FRESHNESS, document)
    table = pd.DataFrame([{"competition": name, **counts} for name, counts in document["competitions"].items()])
    return dg.MaterializeResult(
        metadata={**document["forecasts"], "competitions": dg.MetadataValue.md(rendering.markdown(table))}
    )


def _quarantined(lake: Lake, name: str) -> int:
    try:
        return int((~lake.read_table("quarantine", name, schema=QUARANTINE_SCHEMA)["repaired"]).sum())
    except NotPublishedError:
        return 0
