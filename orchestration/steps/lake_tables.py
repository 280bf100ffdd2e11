"""Reads the lake's tables and reports. One that is not published yet is an empty table, or None for a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any

import pandas as pd
import pyarrow as pa

from features import forecasts
from features.competitions import country_of
from features.errors import NotPublishedError
from features.io.store import Lake
from features.matches import SCHEMA, conform
from features.matrix import FEATURES
from monitoring import settlement

_FORECAST_INPUTS = "made_from/forecasts.json"


def matches(lake: Lake, competitions: Iterable[str] | None = None) -> pd.DataFrame:
    """The matches of the given competitions (default: all), in order of kick-off."""
    names = lake.partitions("matches") if competitions is None else list(competitions)
    if not names:
        raise NotPublishedError(f"{lake.root} holds no matches yet; run the job refresh_matches first")
    tables = [conform(lake.read_table("matches", name, schema=SCHEMA)) for name in names]
    return pd.concat(tables, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def features(lake: Lake) -> pd.DataFrame:
    """The model input of every match in the lake; raises NotPublishedError if there is none."""
    names = lake.partitions("match_features")
    if not names:
        raise NotPublishedError(f"{lake.root} holds no ratings yet; run the job update_ratings first")
    return pd.concat([lake.read_table("match_features", name) for name in names])


def settled_forecasts(lake: Lake) -> pd.DataFrame:
    """All settled forecasts."""
    return read_weeks(lake, "settled_forecasts", settlement.SCHEMA)


def read_week(lake: Lake, table: str, week: str, schema: pa.Schema = forecasts.SCHEMA) -> pd.DataFrame:
    """One week of a table; empty if it is not published."""
    try:
        return lake.read_table(table, week, schema=schema)
    except NotPublishedError:
        return empty_table(schema)


def read_weeks(lake: Lake, table: str, schema: pa.Schema = forecasts.SCHEMA) -> pd.DataFrame:
    """All weeks of a table as one."""
    tables = [lake.read_table(table, week, schema=schema) for week in lake.partitions(table)]
    filled = [frame for frame in tables if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else empty_table(schema)


def empty_table(schema: pa.Schema) -> pd.DataFrame:
    """A table without rows."""
    frame: pd.DataFrame = schema.empty_table().to_pandas()
    return frame


def read_report(lake: Lake, path: str) -> dict[str, Any] | None:
    """A JSON report; None if it is not published."""
    try:
        return lake.read_json(path)
    except NotPublishedError:
        return None


def competitions_of_country(lake: Lake, competition: str) -> list[str]:
    """The published tiers of a competition's country, which are rated together since clubs move between them."""
    return [name for name in lake.partitions("matches") if country_of(name) == country_of(competition)]


def match_fingerprints(lake: Lake, competitions: Iterable[str]) -> dict[str, list[Any]]:
    """Fingerprints of the competitions' match tables. Compare them for equality only: times on S3 are whole seconds."""
    stamps = {name: lake.table_fingerprint("matches", name) for name in competitions}
    return {name: list(astuple(stamp)) for name, stamp in stamps.items() if stamp is not None}


def country_fingerprints(lake: Lake, competition: str) -> dict[str, list[Any]]:
    """Fingerprints of the match tables that a competition's ratings are computed from."""
    return match_fingerprints(lake, competitions_of_country(lake, competition))


def record_rating_inputs(lake: Lake, competition: str, inputs: Mapping[str, list[Any]]) -> None:
    """Record the inputs of a competition's ratings (fingerprints) and the names of the features made from them."""
    lake.write_json(f"ratings/{competition}.json", {"made_from": dict(inputs), "features": list(FEATURES)})


def ratings_current(lake: Lake, competition: str) -> bool:
    """Whether the ratings of a competition come from the current matches of its country and cover every feature."""
    if any(lake.table_fingerprint(table, competition) is None for table in ("match_features", "team_states")):
        return False
    recorded = read_report(lake, f"ratings/{competition}.json")
    return recorded == {"made_from": country_fingerprints(lake, competition), "features": list(FEATURES)}


def record_forecast_inputs(lake: Lake, weeks: Iterable[str], since: str, inputs: Mapping[str, list[Any]]) -> None:
    """Record the fingerprints that the weeks' forecasts were made from. Weeks before `since` are final and left out."""
    recorded = {**forecast_inputs(lake), **{week: dict(inputs) for week in weeks}}
    lake.write_json(_FORECAST_INPUTS, {week: recorded[week] for week in recorded if week >= since})


def forecast_inputs(lake: Lake) -> dict[str, dict[str, list[Any]]]:
    """The fingerprints that the forecasts of the current and later weeks were made from, by week."""
    return read_report(lake, _FORECAST_INPUTS) or {}
