"""Which results of the data checks the gate sees."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.partitions import RANGE_END, RANGE_START, competitions, register_competitions, weeks
from orchestration.promotion.evidence import critical_checks

SPEC = dg.AssetCheckSpec("sound", asset="table", blocking=True)


class Feed:
    """Whether the check passes, or the run stops before it."""

    passes = True
    stops = False


def results_of(feed: Feed) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    if feed.stops:
        raise dg.Failure("the source is away")
    yield dg.AssetCheckResult(passed=feed.passes, check_name="sound")
    yield dg.MaterializeResult()


@dg.asset(name="table", partitions_def=competitions, check_specs=[SPEC])
def by_competition(feed: dg.ResourceParam[Feed]) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    yield from results_of(feed)


@dg.asset(name="table", partitions_def=weeks, backfill_policy=dg.BackfillPolicy.single_run(), check_specs=[SPEC])
def by_week(feed: dg.ResourceParam[Feed]) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    yield from results_of(feed)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        register_competitions(ephemeral, ("first", "second"))
        yield ephemeral


def run(instance: dg.DagsterInstance, partition: str | None, passes: bool = True, stops: bool = False) -> None:
    feed = Feed()
    feed.passes, feed.stops = passes, stops
    dg.materialize(
        [by_competition], partition_key=partition, instance=instance, resources={"feed": feed}, raise_on_error=False
    )


def run_weeks(instance: dg.DagsterInstance, first: str, last: str, passes: bool = True) -> None:
    feed = Feed()
    feed.passes = passes
    tags = {RANGE_START: first, RANGE_END: last}
    dg.materialize([by_week], tags=tags, instance=instance, resources={"feed": feed}, raise_on_error=False)


def heard(instance: dg.DagsterInstance) -> dict[str, bool]:
    return critical_checks(instance, [SPEC.key])


def test_a_check_that_has_never_run_is_not_named(instance: dg.DagsterInstance) -> None:
    assert heard(instance) == {}


def test_check_that_was_planned_only_has_not_passed(instance: dg.DagsterInstance) -> None:
    run(instance, "first")
    assert heard(instance) == {"table: sound": True}
    run(instance, "first", stops=True)
    assert heard(instance) == {"table: sound": False}


def test_failure_of_one_competition_is_not_hidden(instance: dg.DagsterInstance) -> None:
    run(instance, "first", passes=False)
    run(instance, "second")
    assert heard(instance) == {"table: sound": False}
    run(instance, "first")
    assert heard(instance) == {"table: sound": True}


def test_run_without_a_competition_is_ignored(instance: dg.DagsterInstance) -> None:
    """Its failure would stay for ever, because no later run replaces it."""
    run(instance, "first")
    run(instance, None, stops=True)
    assert heard(instance) == {"table: sound": True}
    run(instance, "first", passes=False)
    assert heard(instance) == {"table: sound": False}


def test_a_failed_range_of_weeks_is_repaired_week_by_week(instance: dg.DagsterInstance) -> None:
    run_weeks(instance, "2026-03-02", "2026-03-09", passes=False)
    run_weeks(instance, "2026-03-09", "2026-03-16")
    assert heard(instance) == {"table: sound": False}
    run_weeks(instance, "2026-03-02", "2026-03-02")
    assert heard(instance) == {"table: sound": True}
