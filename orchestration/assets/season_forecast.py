"""Simulated final tables."""

import json
from dataclasses import asdict

import dagster as dg
import numpy as np
import pandas as pd

from features.forecasts import probabilities, states_of
from features.io.clock import Clock
from features.io.formats import load_formats
from features.io.promotion_log import version_to_serve
from features.io.registry import Registry
from features.io.rulings import load_rulings
from features.io.sources.club_aliases import load_aliases
from features.io.store import Lake
from features.league_rules import rules_at
from features.matches import OUTCOMES, Status
from features.matrix import log_rates
from features.missing_fixtures import add_missing_fixtures, is_complete
from features.odds import bookmaker_log_odds
from features.rating_history import STATE_COLUMNS
from features.season_caveats import caveats
from features.season_simulation import simulate
from orchestration.partitions import competitions
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables, rendering

METADATA_COLUMNS = ["team", "played", "points", "expected_points", "p_title", "p_top_four", "p_relegation"]


@dg.asset(
    partitions_def=competitions,
    deps=["team_states", "production_model"],
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
    """The final table, from ten thousand simulations of the season's remaining matches.

    Outcomes follow the probabilities of the version in production, and ties are broken by the competition's own rules.
    Fixtures that the source does not list yet are added if the competition's format is known. If it is not known and
    fixtures are missing, `complete` is false, and only the listed fixtures are simulated. `caveats` says what the table
    does not know; matches beyond the format, such as play-offs, do not count.
    """
    production, _ = version_to_serve(registry, lake, settings.require_promotion_decision)
    if production is None:
        raise dg.Failure("no version is in production; run the job train_model first")
    competition, as_of = context.partition_key, Clock(settings).as_of()
    own, rulings = load_formats(settings.formats), load_rulings(settings.rulings, load_aliases(settings.aliases))
    table = lake_tables.matches(lake, [competition])
    latest = table[table["season"] == table["season"].max()].reset_index(drop=True)
    season = add_missing_fixtures(latest, as_of, own)
    rules = rules_at(season, as_of, own)
    to_come = season[season["status"] != Status.PLAYED]
    states = lake.read_table("team_states", competition)
    home, away = (
        states_of(states, to_come[side], to_come["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for side in ("home_team", "away_team")
    )
    neutral = to_come["neutral"].to_numpy(bool)
    p = probabilities(registry.load(production), home, away, neutral, bookmaker_log_odds(to_come))
    chances = to_come[["match_id"]].assign(**{outcome: p[:, i] for i, outcome in enumerate(OUTCOMES)})
    rates = np.stack(log_rates(home, away, np.where(neutral, 0.0, 1.0)), axis=1)
    complete = is_complete(season, as_of, own)
    sentences = caveats(season, rules, complete, as_of, rulings)
    last = states["features_as_of"].max()
    final = simulate(season, chances, rates, rules, seed=settings.seed, as_of=as_of, rulings=rulings).assign(
        season=season["season"].iloc[0],
        model_version=production.version,
        features_as_of=pd.Timestamp(production.trained_through) if pd.isna(last) else last,
        complete=complete,
        places_known=rules.places_known,
        places=json.dumps([asdict(place) for place in rules.places]),
        caveats=json.dumps(sentences, ensure_ascii=False),
    )
    lake.write_table("season_forecast", competition, final)
    return dg.MaterializeResult(
        metadata={
            **rendering.of_table(final, final[METADATA_COLUMNS]),
            "matches_to_come": len(to_come),
            "model_version": production.version,
            "complete": complete,
            "places_known": rules.places_known,
            "caveats": sentences,
        }
    )
