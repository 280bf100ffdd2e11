"""Jobs: parts of the asset graph that are run together, by a schedule, a sensor or a person."""

import dagster as dg

refresh_matches = dg.define_asset_job(
    "refresh_matches",
    selection=["matches", "match_features", "team_states"],
    description="Fetch results and fixtures of a competition and bring its ratings up to date.",
)
train_model = dg.define_asset_job(
    "train_model",
    selection=["outcome_model", "production_model"],
    description="Train, evaluate and register a new version; the first good one goes into production.",
)
publish_forecasts = dg.define_asset_job(
    "publish_forecasts",
    selection=["forecasts"],
    description="Publish the forecasts of one week, or of a range of weeks in a single run.",
)

JOBS = [refresh_matches, train_model, publish_forecasts]
