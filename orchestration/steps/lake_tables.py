"""Reading what is in the lake, as one table or as an empty one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any

import pandas as pd
import pyarrow as pa

from features import forecasts
from features.competitions import pool_of
from features.errors import NotPublishedError
from features.io.store import Lake
from features.matches import SCHEMA, conform
from features.matrix import FEATURES
from monitoring import settlement


def matches(lake: Lake, wanted: Iterable[str] | None = None) -> pd.DataFrame:
    """The matches tables of the lake as one, in order of kick-off."""
    names = lake.partitions("matches") if wanted is None else list(wanted)
    if not names:
        raise NotPublishedError(f"{lake.root} holds no matches yet; materialise `matches` first")
    tables = [conform(lake.read_table("matches", name, schema=SCHEMA)) for name in names]
    return pd.concat(tables, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def features(lake: Lake) -> pd.DataFrame:
    """The model's input of every match in the lake."""
    return pd.concat([lake.read_table("match_features", name) for name in lake.partitions("match_features")])


def rated_together(lake: Lake, competition: str) -> list[str]:
    """Published competitions whose clubs can meet over the years: the tiers of one country share their ratings."""
    return [name for name in lake.partitions("matches") if pool_of(name) == pool_of(competition)]


def stamps(lake: Lake, names: Iterable[str]) -> dict[str, list[Any]]:
    """Of each table of matches, what tells that it was replaced: equal or not, as times on S3 are whole seconds."""
    found = {name: lake.table_stamp("matches", name) for name in names}
    return {name: list(astuple(stamp)) for name, stamp in found.items() if stamp is not None}


def stamps_of_pool(lake: Lake, competition: str) -> dict[str, list[Any]]:
    """The stamps of the matches that a competition's ratings are made from."""
    return stamps(lake, rated_together(lake, competition))


def note_ratings(lake: Lake, competition: str, made_from: Mapping[str, list[Any]]) -> None:
    """Note what a competition's ratings were made from, and which features came of them."""
    lake.write_json(f"ratings/{competition}.json", {"made_from": dict(made_from), "features": list(FEATURES)})


def is_rated(lake: Lake, competition: str) -> bool:
    """Whether the ratings of a competition were made from its country's matches as they are now, with every feature."""
    if any(lake.table_stamp(noun, competition) is None for noun in ("match_features", "team_states")):
        return False
    noted = document(lake, f"ratings/{competition}.json")
    now = {"made_from": stamps_of_pool(lake, competition), "features": list(FEATURES)}
    return noted == now


_FORECASTS_MADE_FROM = "made_from/forecasts.json"


def note_forecasts(lake: Lake, weeks: Iterable[str], since: str, made_from: Mapping[str, list[Any]]) -> None:
    """Note what the forecasts of weeks were made from; weeks before `since` are history and need no note."""
    noted = {**(document(lake, _FORECASTS_MADE_FROM) or {}), **{week: dict(made_from) for week in weeks}}
    lake.write_json(_FORECASTS_MADE_FROM, {week: noted[week] for week in noted if week >= since})


def forecasts_noted(lake: Lake) -> dict[str, dict[str, list[Any]]]:
    """What the forecasts of the running week and of later ones were made from, by week."""
    return document(lake, _FORECASTS_MADE_FROM) or {}


def empty(schema: pa.Schema) -> pd.DataFrame:
    """A table without rows."""
    frame: pd.DataFrame = schema.empty_table().to_pandas()
    return frame


def week(lake: Lake, noun: str, name: str, schema: pa.Schema = forecasts.SCHEMA) -> pd.DataFrame:
    """One week of a table; empty where nothing is published."""
    try:
        return lake.read_table(noun, name, schema=schema)
    except NotPublishedError:
        return empty(schema)


def weeks(lake: Lake, noun: str, schema: pa.Schema = forecasts.SCHEMA) -> pd.DataFrame:
    """All weeks of a table as one."""
    tables = [lake.read_table(noun, name, schema=schema) for name in lake.partitions(noun)]
    filled = [table for table in tables if not table.empty]
    return pd.concat(filled, ignore_index=True) if filled else empty(schema)


def settled(lake: Lake) -> pd.DataFrame:
    """Everything that was settled."""
    return weeks(lake, "settled_forecasts", settlement.SCHEMA)


def document(lake: Lake, path: str) -> dict[str, Any] | None:
    """A JSON document; None where nothing is published."""
    try:
        return lake.read_json(path)
    except NotPublishedError:
        return None
