"""Backfills from the pages of Dagster write the same files in one run as in a run per week."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import build
from orchestration.partitions import PARTITION, RANGE_END, RANGE_START, weeks
from tests.support.dagster_daemon import completed, pages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # a season takes thirty runs, each in its own process

WEEKLY = ("forecasts", "shadow_forecasts", "settled_forecasts", "drift_report")
SEASON = [week for week in weeks.get_partition_keys() if "2025-08-11" <= week <= "2026-03-09"]
"""The weeks of 2025/26 that have begun by the installation's time."""


@pytest.fixture(autouse=True)
def lake_comes_back(judged: Any, tmp_path: Path) -> Iterator[None]:
    """Restore the lake after each test."""
    lake = Path(judged.settings.lake_root)
    shutil.copytree(lake, tmp_path / "lake")
    yield
    shutil.rmtree(lake)
    shutil.copytree(tmp_path / "lake", lake)


def files(here: Any, asset: str, names: Sequence[str]) -> dict[str, Path]:
    """The existing files of an asset in the lake, by week."""
    folder = Path(here.settings.lake_root)
    paths = {
        week: folder / f"reports/drift/week={week}/summary.json"
        if asset == "drift_report"
        else folder / asset / f"week={week}.parquet"
        for week in names
    }
    return {week: path for week, path in paths.items() if path.exists()}


def taken(here: Any, assets: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], bytes]:
    """Remove these files from the lake; return their content by asset and week."""
    contents = {}
    for asset in assets:
        for week, path in files(here, asset, names).items():
            contents[asset, week] = path.read_bytes()
            path.unlink()
    return contents


def execute(here: Any, job: str, asset: str, **options: Any) -> None:
    with here.instance() as instance:
        definition = build(here.settings).resolve_job_def(job)
        run = definition.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(asset)], **options)
        assert run.success


@pytest.mark.parametrize("asset", WEEKLY)
def test_one_run_and_one_run_per_week_write_the_same_files(judged: Any, asset: str) -> None:
    names = SEASON[-4:]
    at_first = taken(judged, [asset], names)
    execute(judged, "__ASSET_JOB", asset, tags={RANGE_START: names[0], RANGE_END: names[-1]})
    together = taken(judged, [asset], names)
    for week in names:
        execute(judged, "backfill_weeks", asset, partition_key=week)
    week_by_week = taken(judged, [asset], names)
    assert sorted(together) == [(asset, week) for week in names]
    assert week_by_week == together
    assert at_first.items() <= together.items(), "the previous files were reproduced"


def test_drift_reports_on_future_weeks_are_refused(judged: Any) -> None:
    """The message names the latest possible week."""
    ahead = {RANGE_START: SEASON[-1], RANGE_END: "2026-03-23"}
    with judged.instance() as instance:
        job = build(judged.settings).resolve_job_def("report_drift")
        run = job.execute_in_process(instance=instance, tags=ahead, raise_on_error=False)
    error = run.failure_data_for_node("drift_report").error
    assert "the week of 2026-03-16 has not begun" in error.message
    assert f"the latest possible week is that of {SEASON[-1]}" in error.message
    assert not files(judged, "drift_report", SEASON[-1:]), "not even the possible week was written"


@pytest.mark.parametrize("names", [SEASON[-2:], pytest.param(SEASON, marks=pytest.mark.soak)], ids=["two", "season"])
def test_backfills_from_the_pages_are_one_run_or_one_per_week(
    judged: Any, repository: Path, free_port: Callable[[], int], names: list[str]
) -> None:
    """The real daemon runs both backfills, each on a lake without the files."""
    before = taken(judged, WEEKLY, names)
    with pages(judged, repository, free_port()) as buttons:
        backfill = buttons.of_assets(WEEKLY, names)
        runs = completed(judged, repository, backfill, 1)
        assert [(run.tags[RANGE_START], run.tags[RANGE_END]) for run in runs] == [(names[0], names[-1])]
        together = taken(judged, WEEKLY, names)
        backfill = buttons.of_job("backfill_weeks", WEEKLY, names)
        runs = completed(judged, repository, backfill, len(names))
    assert sorted(run.tags[PARTITION] for run in runs) == names
    assert {run.job_name for run in runs} == {"backfill_weeks"}
    week_by_week = taken(judged, WEEKLY, names)
    all_files = {(asset, week) for asset in WEEKLY for week in names}
    # weeks without a match have no shadow forecasts
    idle = {file for file in all_files if file[0] == "shadow_forecasts"} - set(before)
    assert set(together) == all_files - idle
    assert week_by_week == together
    assert before.items() <= together.items(), "the previous files were reproduced"
