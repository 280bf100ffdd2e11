"""Reads the lake's tables and reports. One that is not published yet is an empty table, or None for a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyarrow as pa

from features import forecasts
from features.errors import NotPublishedError
from features.io.store import Lake
from features.matches import SCHEMA, conform
from monitoring import settlement


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
