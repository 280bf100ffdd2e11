"""How the artefacts are cut: by competition (what fans out) and by week (what is published and judged)."""

import dagster as dg

PARTITION = "dagster/partition"
"""Tag of a run that covers one partition."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags by which one run covers a range of weeks."""

FIRST_WEEK = "2025-06-30"
"""No forecast is published for earlier weeks: they belong to seasons that every model was trained on."""

WEEKS_AHEAD = 8
"""Weeks after the running one that exist to be forecast."""

competitions = dg.DynamicPartitionsDefinition(name="competition")
"""The competitions that an installation follows; registered from its settings."""

weeks = dg.WeeklyPartitionsDefinition(start_date=FIRST_WEEK, day_offset=1, end_offset=WEEKS_AHEAD + 1)
"""Weeks by their Monday, UTC. The running week and eight more exist already: they are forecast ahead."""


def register_competitions(instance: dg.DagsterInstance, names: tuple[str, ...]) -> None:
    """Make the followed competitions known to Dagster; those it knows already stay."""
    instance.add_dynamic_partitions(competitions.name or "competition", list(names))
