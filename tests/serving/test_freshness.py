"""How soon the API serves what the pipeline publishes."""

from __future__ import annotations

import shutil
import time

import httpx

from features.forecasts import SCHEMA
from serving.settings import ServingSettings
from tests.support.service_harness import Service, World, wait_until


def test_a_new_week_is_served_within_ten_seconds(world: World, valkey, tmp_path) -> None:
    """The API is not restarted."""
    lake = world.lake
    tables = {week: lake.read_table("forecasts", week) for week in lake.partitions("forecasts")}
    week = max(week for week, table in tables.items() if len(table))
    table = tables[week]
    (folder,) = world.lake_root.glob(f"forecasts/*{week}*")
    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    as_installed = {
        "TOUCHLINE_CATALOGUE_REFRESH_SECONDS": str(ServingSettings.model_fields["catalogue_refresh_seconds"].default)
    }
    service = Service(world, f"{valkey}/2", f"{valkey}/3", tmp_path, as_installed)
    service.start_api()
    try:
        wait_until(lambda: httpx.get(f"{service.url}/teams").json()["items"])
        paths = [f"{service.url}/predict/{match_id}" for match_id in table["match_id"]]
        assert {httpx.get(path).status_code for path in paths} == {404}
        lake.write_table("forecasts", week, table, SCHEMA)
        published = time.monotonic()
        wait_until(lambda: all(httpx.get(path).status_code == 200 for path in paths), 10)
        assert time.monotonic() - published < 10
    finally:
        service.stop()
