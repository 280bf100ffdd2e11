"""The table and metadata that the asset `matches` publishes from real files served over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from features.io.sources.archive import FileArchive
from features.io.sources.client import Client
from features.io.store import Lake
from orchestration.definitions import build
from orchestration.partitions import register_competitions
from orchestration.settings import PipelineSettings
from tests.support.archiving import fetch_and_keep

pytestmark = pytest.mark.medium

HEADER = "Div,Date,HomeTeam,AwayTeam,FTHG,FTAG\n"


def settings_of(site: Any, home: Path, source: str, as_of: str, **options: Any) -> PipelineSettings:
    return PipelineSettings(
        home=home,
        source=source,
        as_of=datetime.fromisoformat(as_of).replace(tzinfo=UTC),
        football_data_url=site.url,
        openfootball_url=site.url,
        mlflow_tracking_uri="http://127.0.0.1:9",
        **options,
    )


def refreshed(settings: PipelineSettings, competition: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Refresh a competition; return the published table and the metadata in the UI."""
    with dg.instance_for_test() as instance:
        register_competitions(instance, (competition,))
        job = build(settings).resolve_job_def("refresh_matches")
        assert job.execute_in_process(instance=instance, partition_key=competition).success
        event = instance.get_latest_materialization_event(dg.AssetKey("matches"))
        metadata = event.asset_materialization.metadata
    values = {name: getattr(value, "value", None) for name, value in metadata.items()}
    return Lake(settings.lake_root).read_table("matches", competition), values


@pytest.mark.shared
def test_rejected_row_is_shown_with_file_and_row(site, tmp_path: Path, shared_data: Path) -> None:
    site.files["/mmz4281/1415/G1.csv"] = (shared_data / "defects/G1_1415.csv").read_bytes()
    settings = settings_of(site, tmp_path, "football_data", "2015-06-01", first_season=2014)
    table, metadata = refreshed(settings, "gre-super-league")
    assert len(table) == metadata["played"] == 305
    assert (metadata["quarantined"], metadata["repaired"]) == (1, 0)
    assert "| mmz4281/1415/G1.csv | 302 | no score in a file of results |" in metadata["quarantine"]
    assert metadata["source"]["rows"] == 306


@pytest.mark.shared
def test_repaired_rows_are_shown_with_file_and_row(site, tmp_path: Path, shared_data: Path) -> None:
    site.files["/2025-26/en.3.json"] = (shared_data / "openfootball/2025-26/en.3.json").read_bytes()
    settings = settings_of(site, tmp_path, "openfootball", "2026-03-13", first_season=2025)
    table, metadata = refreshed(settings, "eng-league-one")
    assert len(table) == metadata["played"] + metadata["to_come"] == 552
    assert (metadata["quarantined"], metadata["repaired"]) == (0, 276)
    assert "| 2025-26/en.3.json | 277 |" in metadata["quarantine"]


def test_standing_in_the_past_it_publishes_what_was_known_then(site, tmp_path: Path) -> None:
    settings = settings_of(site, tmp_path, "football_data", "2025-10-06", first_season=2025)
    assert settings.as_of is not None
    for week, score in enumerate(("2,1", "3,1")):  # the score is corrected a week later
        site.files["/mmz4281/2526/E0.csv"] = f"{HEADER}E0,16/08/2025,Arsenal,Chelsea,{score}\n".encode()
        with Client(FileArchive(Lake(settings.lake_root))) as client:
            fetch_and_keep(client, f"{site.url}/mmz4281/2526/E0.csv", settings.as_of + timedelta(weeks=week))
    site.files.clear()
    goals = []
    for week in (0, 1, 0):
        settings_then = settings.model_copy(update={"as_of": settings.as_of + timedelta(weeks=week)})
        table, _ = refreshed(settings_then, "eng-premier-league")
        goals.append(table["home_goals"].item())
    assert goals == [2, 3, 2]
