"""From matches to what a model sees: the ratings before each match, and every club's state now."""

import dagster as dg
import pandas as pd

from features.competitions import competition as look_up
from features.errors import UnknownCompetition
from features.io.store import Lake
from features.matches import SCHEMA, Status, conform
from features.matrix import feature_frame
from features.replay import replay
from orchestration import display
from orchestration.partitions import competitions
from orchestration.training import digest


def published_matches(lake: Lake, wanted: list[str] | None = None) -> pd.DataFrame:
    """The matches tables of the lake as one, in order of kick-off."""
    names = lake.partitions("matches") if wanted is None else wanted
    tables = [conform(lake.read_table("matches", name, schema=SCHEMA)) for name in names]
    return pd.concat(tables, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def rated_together(lake: Lake, competition: str) -> list[str]:
    """Published competitions whose clubs can meet over the years: the tiers of one country share their ratings."""
    return [name for name in lake.partitions("matches") if _country(name) == _country(competition)]


def _country(competition: str) -> str:
    try:
        return look_up(competition).country
    except UnknownCompetition:  # a league of the user's own files stands alone
        return competition


@dg.asset(partitions_def=competitions, deps=["matches"], group_name="data", kinds={"parquet"})
def match_features(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult[None]:
    """The model's input for every match of a competition, made only from what stood on the evening before it."""
    competition = context.partition_key
    table = published_matches(lake, rated_together(lake, competition))
    states = replay(table)
    frame = feature_frame(table, states.home, states.away)
    frame = frame[frame["competition"] == competition].reset_index(drop=True)
    lake.write_table("match_features", competition, frame)
    played = frame[frame["status"] == Status.PLAYED]
    return dg.MaterializeResult(
        metadata={
            **display.of_table(frame, sample=played.drop(columns=["match_id", "competition"]).tail(5)),
            "summary": dg.MetadataValue.md(
                display.markdown(played.describe().T.rename_axis("feature").reset_index().drop(columns="count"))
            ),
        },
        data_version=dg.DataVersion(digest(frame)),
    )


@dg.asset(partitions_def=competitions, deps=["matches"], group_name="data", kinds={"parquet"})
def team_states(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult[None]:
    """Where every club stands after the last result: the ratings from which the next matches are forecast."""
    competition = context.partition_key
    table = replay(published_matches(lake, rated_together(lake, competition))).team_states
    table = table[table["competition"] == competition].reset_index(drop=True)
    lake.write_table("team_states", competition, table)
    ranked = table.sort_values("elo", ascending=False)[["team", "elo", "pi_home", "pi_away", "attack", "defence"]]
    return dg.MaterializeResult(
        metadata={
            **display.of_table(table, sample=ranked),
            "features_as_of": dg.MetadataValue.timestamp(table["features_as_of"].max().to_pydatetime()),
        },
        data_version=dg.DataVersion(digest(table)),
    )
