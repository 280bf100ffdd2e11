"""The catalogue survives damage to the lake, picks up its changes and handles a large one."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import StorageUnavailableError
from features.forecasts import SCHEMA
from features.io.clock import Clock
from features.io.settings import Settings
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.io.store import Fingerprint, Lake
from features.league_rules import LeagueRules
from features.matches import SCHEMA as MATCHES
from features.matches import build_match_id
from serving.api.catalogue.catalogue import Catalogue
from serving.api.catalogue.resolved_fixture_cache import PairRequest
from serving.api.serializers import serialize_forecast
from serving.errors import InvalidFieldError
from serving.wire.fixtures import to_iso_utc
from tests.support.service_harness import COLUMN_OF_TABLE, World

SETTLED = "eng-premier-league-2025-26-arsenal-chelsea"


@pytest.mark.parametrize("noun", COLUMN_OF_TABLE)
def test_the_last_good_version_of_a_table_stays_in_use(world: World, noun: str) -> None:
    """The table in the lake is missing, truncated, empty, or written by another version."""
    catalogue = Catalogue(world.lake)

    def seen() -> object:
        catalogue.refresh()
        matches = len(catalogue.snapshot.matches)
        return serialize_forecast(catalogue, SETTLED), matches, catalogue.resolve_fixture("Arsenal", "Everton")

    before = seen()
    files = sorted((world.lake_root / noun).rglob("*.parquet"))
    whole = {file: file.read_bytes() for file in files}
    frames = {file: pd.read_parquet(file) for file in files}
    column = COLUMN_OF_TABLE[noun]
    for harm in (
        lambda file: file.unlink(),
        lambda file: file.write_bytes(whole[file][: len(whole[file]) // 2]),
        lambda file: file.write_bytes(b""),
        lambda file: frames[file].drop(columns=column).to_parquet(file),
        lambda file: frames[file].assign(**{column: "some text"}).to_parquet(file),
        lambda file: frames[file].assign(**{column: None}).to_parquet(file),
        lambda file: frames[file].assign(season=2025, competition=None).to_parquet(file),
    ):
        for file in files:
            harm(file)
        assert seen() == before
        assert {file.stem.removeprefix("week=") for file in files if len(frames[file])} <= {
            name.removeprefix(f"{noun}/") for name in catalogue.unreadable_tables
        }
        assert all(name.startswith(noun) for name in catalogue.unreadable_tables)
    for file, content in whole.items():
        file.write_bytes(content)
    assert seen() == before
    assert not catalogue.unreadable_tables


def test_a_lost_lake_is_served_from_memory_until_it_is_back(world: World) -> None:
    """Once the lake is back, it is read again."""
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    before = serialize_forecast(catalogue, SETTLED), catalogue.snapshot.matches
    world.lake_root.rename(world.lake_root.with_name("away"))
    catalogue.refresh()
    assert (serialize_forecast(catalogue, SETTLED), catalogue.snapshot.matches) == before
    assert f"matches/{COMPETITION}" in catalogue.unreadable_tables
    world.lake_root.with_name("away").rename(world.lake_root)
    catalogue.refresh()
    assert not catalogue.unreadable_tables


def test_an_empty_lake_is_no_fault(tmp_path) -> None:
    catalogue = Catalogue(Lake(str(tmp_path / "nothing")))
    catalogue.refresh()
    assert catalogue.forecasts.get(SETTLED) is None
    assert catalogue.snapshot.matches == ()


def test_the_latest_forecast_of_a_postponed_match_counts(world: World) -> None:
    """The forecasts of two weeks contain the match."""
    lake = world.lake
    first = lake.read_table("forecasts", "2026-02-23")
    again = first[first["match_id"] == SETTLED].assign(home=0.9, draw=0.05, away=0.05)
    lake.write_table("forecasts", "2026-04-20", again, SCHEMA)
    catalogue = Catalogue(lake)
    catalogue.refresh()
    document = serialize_forecast(catalogue, SETTLED)
    assert document is not None
    assert document["probabilities"]["home"] == 0.9


@pytest.mark.parametrize(
    ("meetings", "season", "match_id"),
    [
        (1, "2026-27", "eng-premier-league-2026-27-arsenal-chelsea"),
        (2, "2025-26", f"{SETTLED}-2"),
        (None, "2025-26", f"{SETTLED}-2"),
    ],
)
def test_clubs_that_have_met_get_the_id_of_their_next_meeting(
    world: World, meetings: int | None, season: str, match_id: str
) -> None:
    """They never get the id of the match that was played, nor one of a meeting that the format does not have."""
    catalogue = Catalogue(world.lake, formats={COMPETITION: LeagueRules((), meetings=meetings)})
    catalogue.refresh()
    assert catalogue.snapshot.by_id[SETTLED].status == "played"
    fixture = catalogue.resolve_fixture("Arsenal", "Chelsea")
    assert (fixture.season, fixture.match_id, fixture.kick_off) == (season, match_id, None)


@pytest.mark.parametrize("day", [datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 9, 12, 14, tzinfo=UTC)])
def test_season_and_id_of_an_unlisted_match_follow_its_day(world: World, day: datetime) -> None:
    """Each pair meets once at each ground in a season of this league, so there is no second meeting in 2025-26."""
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    fixture = catalogue.resolve_fixture("Arsenal", "Chelsea", kick_off=day)
    assert (fixture.season, fixture.match_id) == ("2026-27", "eng-premier-league-2026-27-arsenal-chelsea")
    assert not fixture.in_lake


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (datetime(2026, 5, 1, tzinfo=UTC), f"Arsenal v Chelsea has no other match in 2025-26: see {SETTLED}"),
        (datetime(2027, 12, 1, tzinfo=UTC), "more than a year after the last result"),
    ],
)
def test_days_on_which_an_unlisted_match_cannot_be_are_refused(world: World, day: datetime, why: str) -> None:
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    with pytest.raises(InvalidFieldError, match=why):
        catalogue.resolve_fixture("Arsenal", "Chelsea", kick_off=day)


def test_a_pair_is_cached_by_its_spelling(world: World) -> None:
    """A new snapshot of the lake starts with an empty cache."""
    catalogue = Catalogue(world.lake, {"eng": {"The Toffees": "Everton"}})
    catalogue.refresh()
    cache = catalogue.snapshot.fixture_cache
    pair, other = PairRequest("Arsenal", "the toffees"), PairRequest("Arsenal", "the toffees", COMPETITION)
    assert cache.find_all([pair]) is None
    fixture = catalogue.resolve_fixture(pair.home_team, pair.away_team)
    assert cache.find_all([pair, pair]) == [fixture, fixture]
    assert cache.find_all([pair, PairRequest("Arsenal", "Everton")]) is None
    assert cache.find_all([other]) is None
    other_fixture = catalogue.resolve_fixture(other.home_team, other.away_team, other.competition)
    assert cache.find_all([other]) == [other_fixture]
    catalogue.snapshot = catalogue._build_snapshot()
    assert catalogue.snapshot.fixture_cache.find_all([pair]) is None


def test_pairs_that_are_remembered_do_not_pile_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.api.catalogue.resolved_fixture_cache.MAX_CACHED_PAIRS", 2)
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    cache = catalogue.snapshot.fixture_cache
    for away in ("Chelsea", "Everton", "Fulham", "Everton"):
        catalogue.resolve_fixture("Arsenal", away)
    assert cache.find_all([PairRequest("Arsenal", "Chelsea")]) is None
    assert cache.find_all([PairRequest("Arsenal", "Fulham"), PairRequest("Arsenal", "Everton")]) is not None


def test_a_pair_without_a_fixture_is_not_forecast_years_ahead(world: World) -> None:
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    with pytest.raises(InvalidFieldError, match="more than a year after the last result"):
        catalogue.resolve_fixture("Arsenal", "Chelsea", kick_off=datetime(2030, 5, 1, tzinfo=UTC))


def test_the_callers_day_of_a_moved_match_is_taken(world: World) -> None:
    """Anywhere in its season; the fixture then also has the day of the list."""
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    listed = catalogue.resolve_fixture("Arsenal", "Everton")
    assert listed.kick_off is not None
    assert listed.listed_kick_off is None
    due = datetime.fromisoformat(listed.kick_off)
    assert catalogue.resolve_fixture("Arsenal", "Everton", kick_off=due) == listed
    for days in (-30, -1, 1, 8, 60):
        moved = to_iso_utc(due + timedelta(days=days))
        fixture = catalogue.resolve_fixture("Arsenal", "Everton", kick_off=datetime.fromisoformat(moved))
        assert fixture == replace(listed, kick_off=moved, listed_kick_off=listed.kick_off)
        assert json.loads(fixture.json_prefix + b"0}}")["listed_kick_off"] == listed.kick_off
    assert b"listed_kick_off" not in listed.json_prefix


@pytest.mark.parametrize("days", [-300, 200, 400])
@pytest.mark.parametrize("status", ["scheduled", "postponed"])
def test_a_day_outside_the_season_of_a_listed_match_is_refused(world: World, status: str, days: int) -> None:
    """Such a day means a different match, also where the list has no new day yet."""
    if status == "postponed":
        fixture = _fixture_moved(world, status, datetime(2026, 3, 14, tzinfo=UTC))
        pair = fixture.home_team, fixture.away_team
    else:
        pair = "Arsenal", "Everton"
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    with pytest.raises(InvalidFieldError, match="is a match of season 2025-26") as refused:
        catalogue.resolve_fixture(*pair, kick_off=datetime(2026, 3, 14, tzinfo=UTC) + timedelta(days=days))
    assert refused.value.field == "kick_off"
    assert refused.value.suggestions == (["2026-03-14T17:30:00Z"] if status == "scheduled" else [])


def test_aliases_hold_in_their_country_and_never_hide_a_club(world: World) -> None:
    aliases = {"eng": {"The Toffees": "Everton", "Chelsea": "Everton"}, "esp": {"Gunners": "Arsenal"}}
    catalogue = Catalogue(world.lake, aliases)
    catalogue.refresh()
    assert catalogue.resolve_fixture("Arsenal", "the toffees") == catalogue.resolve_fixture("Arsenal", "Everton")
    assert catalogue.resolve_fixture("Arsenal", "Chelsea").away_team == "Chelsea"
    assert catalogue.club_name("THE TOFFEES") == "Everton"
    with pytest.raises(InvalidFieldError):
        catalogue.resolve_fixture("Gunners", "Everton")


def test_an_unreadable_clock_keeps_its_last_time(world: World, tmp_path: Path) -> None:
    """The clock is listed among the unreadable tables."""
    catalogue = Catalogue(world.lake, clock=Clock(Settings(home=tmp_path)))
    catalogue.refresh()
    assert catalogue.as_of == REPLAY_AS_OF
    (tmp_path / "as_of").write_text("yesterday")
    catalogue.refresh()
    assert catalogue.as_of == REPLAY_AS_OF
    assert "not a timestamp" in catalogue.unreadable_tables["as_of"]
    (tmp_path / "as_of").unlink()
    catalogue.refresh()
    assert not catalogue.unreadable_tables


@pytest.mark.parametrize("status", ["scheduled", "postponed"])
def test_an_overdue_fixture_is_forecast_without_a_date(world: World, status: str) -> None:
    """An overdue fixture has no result although its kick-off has passed."""
    waiting = _fixture_moved(world, status, datetime(2025, 12, 1, tzinfo=UTC))
    catalogue = Catalogue(world.lake)
    catalogue.refresh()
    fixture = catalogue.resolve_fixture(waiting.home_team, waiting.away_team)
    assert (fixture.match_id, fixture.kick_off) == (waiting.match_id, None)


def test_a_coming_fixture_is_preferred_to_an_unplayed_old_one(world: World) -> None:
    lake = world.lake
    before = lake.read_table("matches", COMPETITION, schema=MATCHES)
    ahead = before[before["status"] == "scheduled"].iloc[0]
    abandoned = before[before["match_id"] == ahead["match_id"]].assign(
        match_id=f"{ahead['match_id']}-2", kick_off=pd.Timestamp("2025-12-01T15:00Z")
    )
    lake.write_table("matches", COMPETITION, pd.concat([before, abandoned]), MATCHES)
    catalogue = Catalogue(lake)
    catalogue.refresh()
    assert catalogue.resolve_fixture(ahead["home_team"], ahead["away_team"]).match_id == ahead["match_id"]


def _fixture_moved(world: World, status: str, kick_off: datetime) -> pd.Series:
    """Move one fixture into the past, as if its source had missed the new date."""
    matches = world.lake.read_table("matches", COMPETITION, schema=MATCHES)
    at = matches.index[matches["status"] == "scheduled"][0]
    matches.loc[at, ["status", "kick_off"]] = status, pd.Timestamp(kick_off)
    world.lake.write_table("matches", COMPETITION, matches, MATCHES)
    return matches.loc[at]


@pytest.mark.parametrize("error", [OSError, StorageUnavailableError])
def test_a_hiccup_of_the_storage_holds_back_only_what_it_concerns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    lake = Lake(str(tmp_path))
    ids = _publish(lake, weeks=[0, 1], per_week=3)
    lake.write_table("matches", COMPETITION, load().tail(5), MATCHES)
    lake.write_table("team_states", COMPETITION, pd.DataFrame())
    catalogue, stamp = Catalogue(lake), lake.table_fingerprint

    def hiccup(noun: str, part: str) -> Fingerprint | None:
        if (noun, part) in {("forecasts", "2020-01-13"), ("team_states", COMPETITION)}:
            raise error("connection reset")
        return stamp(noun, part)

    monkeypatch.setattr(lake, "table_fingerprint", hiccup)
    for refresh in (catalogue.forecasts.refresh, catalogue.refresh):
        with suppress(OSError):
            refresh()
    monkeypatch.setattr(lake, "table_fingerprint", stamp)
    assert catalogue.forecasts.get(ids[0]) is not None
    catalogue.refresh()
    assert catalogue.forecasts.get(ids[-1]) is not None
    assert len(catalogue.snapshot.matches) == 5


MEASURE = """
import gc, json, sys, time, psutil
from features.io.store import Lake
from serving.api.catalogue.catalogue import Catalogue
from serving.errors import InvalidFieldError
from serving.api.serializers import serialize_forecast

def load(root):
    catalogue = Catalogue(Lake(root))
    catalogue.refresh()
    gc.collect()
    return catalogue, psutil.Process().memory_info().rss

few, before = load(sys.argv[1])
many, after = load(sys.argv[2])
seconds = []
for match_id in sys.stdin.read().split():
    started = time.perf_counter()
    assert serialize_forecast(many, match_id)["match_id"] == match_id
    seconds.append(time.perf_counter() - started)
seconds.sort()
print(json.dumps({"count": len(many.forecasts), "grown": after - before, "p50": seconds[len(seconds) // 2]}))
"""


@pytest.mark.medium
def test_a_million_forecasts_are_found_and_take_little_memory(tmp_path, repository) -> None:
    _publish(Lake(str(tmp_path / "few")), weeks=[0], per_week=1000)
    ids = _publish(Lake(str(tmp_path / "many")), weeks=list(range(20)), per_week=50_000)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "few"), str(tmp_path / "many")]
    sampled_ids = " ".join(ids[:: len(ids) // 500])
    out = subprocess.run(command, input=sampled_ids, capture_output=True, text=True, check=True, cwd=repository)
    measured = json.loads(out.stdout)
    print(f"1,000,000 forecasts: {measured['grown'] / 1e6:.0f} MB more, look-up p50 {measured['p50'] * 1e3:.2f} ms")
    assert measured["count"] == 1_000_000
    assert measured["grown"] < 200e6


def _publish(lake: Lake, weeks: list[int], per_week: int) -> list[str]:
    """Publish many forecasts of invented clubs and return their match ids."""
    ids: list[str] = []
    for week in weeks:
        monday = datetime(2020, 1, 6, tzinfo=UTC) + timedelta(weeks=week)
        home = [f"Club {number}" for number in range(per_week)]
        season = f"{2000 + week}-{(1 + week) % 100:02d}"
        made = [build_match_id("xx-league", season, name, "Visitors") for name in home]
        ids += made
        frame = pd.DataFrame({"match_id": made, "home_team": home})
        frame = frame.assign(
            competition="xx-league", season=season, away_team="Visitors", kick_off=monday + timedelta(days=5),
            home=np.linspace(0.1, 0.8, per_week), draw=0.1, predicted_outcome="home", model_version=1,
            trained_through=monday - timedelta(days=30), features_as_of=monday - timedelta(days=1), published_at=monday,
        )  # fmt: skip
        frame["away"] = 0.9 - frame["home"]
        lake.write_table("forecasts", monday.date().isoformat(), frame[SCHEMA.names], SCHEMA)
    return ids
