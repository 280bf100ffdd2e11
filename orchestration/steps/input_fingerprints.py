"""Fingerprints of the match tables, and records of those that ratings and forecasts were made from.

A table is current while the recorded fingerprints equal those of the tables in the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any

from features.competitions import country_of
from features.io.store import Lake
from features.matrix import FEATURES
from orchestration.steps.lake_tables import read_report

_FORECAST_INPUTS = "made_from/forecasts.json"


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
