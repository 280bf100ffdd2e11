"""Jobs: parts of the asset graph that a schedule, a sensor or a person runs together."""

import dagster as dg

from orchestration.promotion.manual_jobs import approve_promotion, review_drift, rollback_production

TRAIN_MODEL = "train_model"

refresh_matches = dg.define_asset_job(
    "refresh_matches",
    selection=["matches"],
    description="Fetch the results and fixtures of a competition. The ratings of its country are updated afterwards.",
)
update_ratings = dg.define_asset_job(
    "update_ratings",
    selection=["match_features", "team_states"],
    description="Recompute the ratings of a competition's clubs from the results of all tiers of its country.",
)
publish_forecasts = dg.define_asset_job(
    "publish_forecasts",
    selection=["forecasts"],
    description="Publish the forecasts of a week, or of a range of weeks in one run.",
)
forecast_season = dg.define_asset_job(
    "forecast_season", selection=["season_forecast"], description="Simulate the final table of a competition."
)
forecast_shadow = dg.define_asset_job(
    "forecast_shadow",
    selection=["shadow_forecasts"],
    description="Make the candidate's shadow forecasts for a week or a range of weeks. Users never see them.",
)
settle_forecasts = dg.define_asset_job(
    "settle_forecasts",
    selection=["settled_forecasts"],
    description="Score the published forecasts of weeks whose matches have been played.",
)
evaluate_forecasts = dg.define_asset_job(
    "evaluate_forecasts",
    selection=["performance", "freshness"],
    description="Update the reports on forecast performance and data freshness.",
)
report_drift = dg.define_asset_job(
    "report_drift",
    selection=["drift_report"],
    description="Compare the latest matches as of a week with the seasons before. A range of weeks is one run.",
)
backfill_weeks = dg.define_asset_job(
    "backfill_weeks",
    selection=["forecasts", "shadow_forecasts", "settled_forecasts", "drift_report"],
    description="Materialise all weekly assets of the chosen weeks, one run per week. A selection in the graph limits "
    "it to those assets. A backfill from an asset's page does the same in a single run for all weeks.",
)
"""For a person who wants one run per week. It is not in `ASSET_JOBS`; `definitions` says why."""
evaluate_candidate = dg.define_asset_job(
    "evaluate_candidate",
    selection=["promotion_gate"],
    description="Evaluate the promotion gate: which conditions the version in staging passes or fails, and why.",
)
promote_model = dg.define_asset_job(
    "promote_model",
    selection=["production_model"],
    description="Promote the version in staging if every condition of the promotion gate passes when the run starts.",
)

ASSET_JOBS = [
    refresh_matches,
    update_ratings,
    publish_forecasts,
    forecast_season,
    forecast_shadow,
    settle_forecasts,
    evaluate_forecasts,
    report_drift,
    evaluate_candidate,
    promote_model,
]
MANUAL_JOBS = [approve_promotion, rollback_production, review_drift]
