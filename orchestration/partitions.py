"""How the artefacts are cut: by competition (what fans out) and by week (what is published and judged)."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

PARTITION = "dagster/partition"
"""Tag of a run that covers one partition."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags by which one run covers a range of weeks."""

FIRST_WEEK = "2025-06-30"
"""The first week of the bundled data's last season; an installation that stands earlier has an earlier one."""

WEEKS_AHEAD = 8
"""Weeks after the running one that exist to be forecast."""

competitions = dg.DynamicPartitionsDefinition(name="competition")
"""The competitions that an installation follows; registered from its settings."""


def weeks_from(first: str) -> dg.WeeklyPartitionsDefinition:
    """Weeks by their Monday, UTC. The running week and eight more exist already: they are forecast ahead."""
    return dg.WeeklyPartitionsDefinition(start_date=first, day_offset=1, end_offset=WEEKS_AHEAD + 1)


weeks = weeks_from(FIRST_WEEK)
"""What weekly assets are declared with; `with_weeks` gives them those of an installation."""


def with_weeks(assets: Iterable[Any], first: str) -> list[Any]:
    """The assets, the weekly ones from the first week of an installation on: an earlier one adds weeks, no more."""
    own = weeks_from(first)

    def cut(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(partitions_def=own) if spec.partitions_def == weeks else spec

    return list(dg.map_asset_specs(cut, assets))


def register_competitions(instance: dg.DagsterInstance, names: tuple[str, ...]) -> None:
    """Make the followed competitions known to Dagster; those it knows already stay."""
    instance.add_dynamic_partitions(competitions.name or "competition", list(names))
