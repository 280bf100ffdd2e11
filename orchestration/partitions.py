"""Partitions of the assets: by competition, and by week."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

PARTITION = "dagster/partition"
"""Tag of a run that covers one partition."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags of a run that covers a range of weeks."""

FIRST_WEEK = "2025-06-30"
"""The first week of the bundled data's last season. An installation with an earlier clock starts earlier."""

WEEKS_AHEAD = 8
"""Weeks after the current one that exist as partitions."""

competitions = dg.DynamicPartitionsDefinition(name="competition")
"""The competitions that an installation follows, registered from its settings."""


def weeks_from(first: str) -> dg.WeeklyPartitionsDefinition:
    """Weeks, named by their Monday in UTC, up to `WEEKS_AHEAD` weeks ahead, since forecasts are made in advance."""
    return dg.WeeklyPartitionsDefinition(start_date=first, day_offset=1, end_offset=WEEKS_AHEAD + 1)


weeks = weeks_from(FIRST_WEEK)
"""The partitions that weekly assets are declared with; `with_weeks` replaces them with those of an installation."""


def with_weeks(assets: Iterable[Any], first: str) -> list[Any]:
    """The assets, with the weekly ones partitioned from an installation's first week."""
    installed = weeks_from(first)

    def repartition(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(partitions_def=installed) if spec.partitions_def == weeks else spec

    return list(dg.map_asset_specs(repartition, assets))


def register_competitions(instance: dg.DagsterInstance, names: tuple[str, ...]) -> None:
    """Add the followed competitions to Dagster's partitions. Existing ones stay; a sensor calls this at every tick."""
    dimension = competitions.name or "competition"
    registered = instance.get_dynamic_partitions(dimension)
    if missing := [name for name in names if name not in registered]:
        instance.add_dynamic_partitions(dimension, missing)
