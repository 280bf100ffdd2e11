"""Jobs: parts of the asset graph that are run together, by a schedule, a sensor or a person."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration.executors import training_executor
from orchestration.promotion.manual_jobs import approve_promotion, review_drift, rollback_production

refresh_matches = dg.define_asset_job(
    "refresh_matches",
    selection=["matches"],
    description="Fetch results and fixtures of a competition; the ratings of its country follow.",
)
update_ratings = dg.define_asset_job(
    "update_ratings",
    selection=["match_features", "team_states"],
    description="Rate the clubs of a competition again, from the results of all published tiers of its country.",
)
train_model = dg.define_asset_job(
    "train_model",
    selection=["outcome_model", "production_model"],
    executor_def=training_executor,
    description="Train, evaluate and register a new version; the first good one goes into production.",
)
publish_forecasts = dg.define_asset_job(
    "publish_forecasts",
    selection=["forecasts"],
    description="Publish the forecasts of one week, or of a range of weeks in a single run.",
)
forecast_season = dg.define_asset_job(
    "forecast_season", selection=["season_forecast"], description="Simulate the final table of a competition."
)
forecast_shadow = dg.define_asset_job(
    "forecast_shadow",
    selection=["shadow_forecasts"],
    description="Let the candidate forecast weeks in the shadow of production.",
)
settle_forecasts = dg.define_asset_job(
    "settle_forecasts",
    selection=["settled_forecasts"],
    description="Score the forecasts of weeks whose matches have been played.",
)
evaluate_forecasts = dg.define_asset_job(
    "evaluate_forecasts",
    selection=["performance", "freshness"],
    description="Bring the reports on scores and freshness up to date.",
)
report_drift = dg.define_asset_job(
    "report_drift",
    selection=["drift_report"],
    description="Compare a week's latest matches with the seasons before; a range of weeks is one run.",
)
backfill_weeks = dg.define_asset_job(
    "backfill_weeks",
    selection=["forecasts", "shadow_forecasts", "settled_forecasts", "drift_report"],
    description="Everything that there is of a week, for the weeks that are chosen: a run each. Where an asset is "
    "selected in the graph, that alone. The page of an asset makes one run of them all, with the same result.",
)
"""For a person who wants to see each week by itself; not one of `JOBS`: see `definitions`."""
evaluate_candidate = dg.define_asset_job(
    "evaluate_candidate",
    selection=["promotion_gate"],
    description="Evaluate the promotion gate: which conditions the version in staging meets, and why not the others.",
)
promote_model = dg.define_asset_job(
    "promote_model",
    selection=["production_model"],
    description="Promote the version in staging if every condition of the gate is open at this moment.",
)

JOBS: list[dg.JobDefinition | UnresolvedAssetJobDefinition] = [
    refresh_matches,
    update_ratings,
    train_model,
    publish_forecasts,
    forecast_season,
    forecast_shadow,
    settle_forecasts,
    evaluate_forecasts,
    report_drift,
    evaluate_candidate,
    promote_model,
    approve_promotion,
    rollback_production,
    review_drift,
]
