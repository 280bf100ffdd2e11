"""Where each club may finish."""

import dagster as dg

from features.forecasts import predict
from features.io.registry import PRODUCTION, Registry
from features.io.store import Lake
from features.matches import OUTCOMES, Status
from features.matrix import FEATURES
from features.season import simulate
from orchestration import display, published
from orchestration.partitions import competitions
from orchestration.settings import PipelineSettings

_SHOWN = ["team", "played", "points", "expected_points", "p_title", "p_top_four", "p_relegation"]
_RATES = ["log_home_goals", "log_away_goals"]


@dg.asset(
    partitions_def=competitions,
    deps=["match_features", "outcome_model"],
    automation_condition=dg.AutomationCondition.eager(),
    group_name="forecasts",
    kinds={"parquet"},
)
def season_forecast(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    registry: dg.ResourceParam[Registry],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.MaterializeResult[None]:
    """The final table, simulated: the season's remaining matches are played ten thousand times.

    Each match is won as often as the version in production says; ties are broken by the competition's own rules.
    """
    production = registry.by_alias(PRODUCTION)
    if production is None:
        raise dg.Failure("no version is in production; materialise outcome_model and production_model first")
    competition = context.partition_key
    table = published.matches(lake, [competition])
    season = table[table["season"] == table["season"].max()].reset_index(drop=True)
    to_come = season.loc[season["status"] != Status.PLAYED, ["match_id", "neutral"]]
    rows = to_come.merge(lake.read_table("match_features", competition), on="match_id", validate="one_to_one")
    p = predict(registry.load(production), rows[list(FEATURES)].to_numpy(float), rows["neutral"].to_numpy(bool))
    chances = rows[["match_id"]].assign(**dict(zip(OUTCOMES, p.T, strict=True)))
    final = simulate(season, chances, rows[_RATES].to_numpy(float), seed=settings.seed)
    lake.write_table("season_forecast", competition, final)
    return dg.MaterializeResult(metadata={**display.of_table(final, final[_SHOWN]), "matches_to_come": len(rows)})
