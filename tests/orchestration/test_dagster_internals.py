"""What we rely on in Dagster beyond its public API is still there."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

from orchestration._dagster_internals import RUN_LOCATION, check_history

SPEC = dg.AssetCheckSpec("sound", asset="table", blocking=True)


@dg.asset(name="table", check_specs=[SPEC])
def table(passes: dg.ResourceParam[list[bool]]):
    yield dg.AssetCheckResult(passed=passes[0], check_name="sound")
    yield dg.MaterializeResult()


def test_run_location_is_the_tag_that_dagster_sets() -> None:
    assert list(RUN_LOCATION) == [REPOSITORY_LABEL_TAG]


def test_check_history_is_newest_first() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        runs = [
            dg.materialize([table], instance=instance, resources={"passes": [passes]}, raise_on_error=False).run_id
            for passes in (True, False)
        ]
        assert check_history(instance, SPEC.key, 5) == [(runs[1], False), (runs[0], True)]
        assert check_history(instance, SPEC.key, 1) == [(runs[1], False)]


@pytest.mark.parametrize("name", ["schedule_name", "sensor_name"])
def test_automatic_runs_carry_the_tags_that_we_look_for(name: str) -> None:
    from dagster._core.storage import tags

    from orchestration.assets.outcome_model import AUTOMATIC_RUN_TAGS

    assert getattr(tags, f"{name.upper()}_TAG") in AUTOMATIC_RUN_TAGS
