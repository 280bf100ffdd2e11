"""Whether the tables in the lake are current."""

from __future__ import annotations

from pathlib import Path

from features.io.sources import bundled
from features.io.store import Lake
from features.matches import SCHEMA
from orchestration.steps import input_fingerprints


def test_ratings_with_fewer_features_are_outdated(tmp_path: Path) -> None:
    lake, league, table = Lake(str(tmp_path)), bundled.COMPETITION, bundled.load().tail(10)
    lake.write_table("matches", league, table, SCHEMA)
    for noun in ("match_features", "team_states"):
        lake.write_table(noun, league, table)
    assert not input_fingerprints.ratings_current(lake, league)
    input_fingerprints.record_rating_inputs(lake, league, input_fingerprints.country_fingerprints(lake, league))
    assert input_fingerprints.ratings_current(lake, league)
    note = lake.read_json(f"ratings/{league}.json")
    lake.write_json(f"ratings/{league}.json", {**note, "features": note["features"][:-2]})
    assert not input_fingerprints.ratings_current(lake, league)
    del note["features"]
    lake.write_json(f"ratings/{league}.json", note)
    assert not input_fingerprints.ratings_current(lake, league)
