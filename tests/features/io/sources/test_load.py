"""`load` reads each source alone or several merged, as of now or as of an earlier time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import InvalidInputError, SourceError
from features.forecasts import forecast
from features.io.settings import Settings
from features.io.sources import QUARANTINE_SCHEMA, bundled, competitions, load
from features.io.sources.archive import FileArchive
from features.io.sources.client import Client
from features.io.sources.files import contents
from features.io.sources.football_data import parse
from features.io.sources.inspection import inspect_source
from features.io.sources.merge import merge
from features.io.store import Lake
from features.matches import SCHEMA, as_known_at, conform, with_match_ids
from features.rating_history import compute_ratings
from tests.support.archiving import fetch_and_keep
from tests.support.fakes import EloModel

pytestmark = pytest.mark.medium

PL = "eng-premier-league"
NOW = datetime.now(UTC)
HEADER = "Div,Date,HomeTeam,AwayTeam,FTHG,FTAG\n"


def test_the_bundled_source_has_the_premier_league_and_quarantines_nothing() -> None:
    settings = Settings(source="bundled")
    (only,) = competitions(settings)
    result = load(settings, only)
    assert len(result.matches) == result.report["rows"] == 4560
    assert result.quarantine.empty
    assert list(result.quarantine.columns) == QUARANTINE_SCHEMA.names


def test_a_competition_that_the_source_does_not_have_is_an_error() -> None:
    with pytest.raises(InvalidInputError, match=r"does not offer 'eng-championship'; it offers eng-premier-league"):
        load(Settings(source="bundled"), "eng-championship")


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="football_data"):
        competitions(Settings(source="teletext"))


def _remote(site, tmp_path: Path, **settings: Any) -> Settings:
    return Settings(source="football_data", football_data_url=site.url, home=tmp_path, first_season=2025, **settings)


def _fetch(settings: Settings, site, fetched_at: datetime) -> None:
    """Fetch the current files of the site, as of a time."""
    with Client(FileArchive(Lake(settings.lake_root))) as client:
        for path in site.files:
            fetch_and_keep(client, f"{site.url}{path}", fetched_at)


def test_results_and_fixtures_of_the_running_season_come_together(site, tmp_path: Path) -> None:
    site.files["/mmz4281/2526/E0.csv"] = (HEADER + "E0,16/08/2025,Arsenal,Chelsea,2,1\n").encode()
    site.files["/fixtures.csv"] = (HEADER + "E0,14/03/2026,Chelsea,Arsenal,,\nE1,14/03/2026,Hull,Stoke,,\n").encode()
    settings, as_of = _remote(site, tmp_path), datetime(2026, 3, 13, tzinfo=UTC)
    _fetch(settings, site, as_of)
    result = load(settings, PL, now=as_of)
    assert result.matches["status"].tolist() == ["played", "scheduled"]
    assert list(result.matches.columns) == SCHEMA.names


def test_in_summer_the_fixtures_file_still_holds_last_season_and_nothing_is_to_come(site, tmp_path: Path) -> None:
    settings, july = _remote(site, tmp_path), datetime(2026, 7, 1, 6, tzinfo=UTC)
    site.files["/mmz4281/2526/E0.csv"] = (HEADER + "E0,24/05/2026,Arsenal,Chelsea,2,1\n").encode()
    site.files["/fixtures.csv"] = (HEADER + "E0,24/05/2026,Chelsea,Arsenal,,\n" * 30).encode()
    _fetch(settings, site, july)
    result = load(settings, PL, now=july)
    assert result.matches["status"].tolist() == ["played"]
    assert result.quarantine["reason"].unique().tolist() == ["24/05/2026 is not in the season 2026-27"]


def test_standing_in_the_past_fixtures_of_today_are_not_asked_for(site, tmp_path: Path) -> None:
    site.files["/mmz4281/2526/E0.csv"] = (HEADER + "E0,16/08/2025,Arsenal,Chelsea,2,1\n").encode()
    site.files["/fixtures.csv"] = (HEADER + "E0,14/03/2026,Chelsea,Arsenal,,\n").encode()
    result = load(_remote(site, tmp_path), PL, now=datetime(2025, 9, 1, tzinfo=UTC))
    assert result.matches["status"].tolist() == ["played"]
    assert "/fixtures.csv" not in [path for path, _ in site.asked]
    assert result.report["missing"] == [f"{site.url}/fixtures.csv"]


def test_what_was_known_a_week_ago_can_be_had_again(site, tmp_path: Path) -> None:
    address, settings = "/mmz4281/2526/E0.csv", _remote(site, tmp_path)
    first = datetime(2026, 3, 6, tzinfo=UTC)
    for week, row in enumerate(("E0,16/08/2025,Arsenal,Chelsea,2,1\n", "E0,13/03/2026,Chelsea,Arsenal,0,0\n")):
        site.files[address] = site.files.get(address, HEADER.encode()) + row.encode()
        _fetch(settings, site, first + timedelta(weeks=week))
    assert len(load(settings, PL, now=first + timedelta(days=2)).matches) == 1
    assert len(load(settings, PL, now=first + timedelta(days=8)).matches) == 2


def test_an_old_forecast_can_be_made_again_after_the_source_has_corrected_itself(
    site, tmp_path: Path, premier_league: pd.DataFrame
) -> None:
    settings, first = _remote(site, tmp_path), datetime(2026, 3, 6, 12, tzinfo=UTC)
    season = premier_league[premier_league["season"] == "2025-26"]
    for week in (0, 1):
        as_of = first + timedelta(weeks=week)
        played = season[season["kick_off"] < as_of].copy()
        if week:
            played.loc[played.index[5], "home_goals"] = played["home_goals"].iloc[5] + 3  # the source corrects a score
        site.files["/mmz4281/2526/E0.csv"] = _as_csv(played)
        site.files["/fixtures.csv"] = _as_csv(season[season["kick_off"] >= as_of], scores=False)
        _fetch(settings, site, as_of)
        if not week:
            published = _forecasts(settings, first)
    pd.testing.assert_frame_equal(_forecasts(settings, first), published)
    later = _forecasts(settings, first + timedelta(weeks=1)).merge(published, on="match_id")
    assert (later["home_x"] != later["home_y"]).all()


def _as_csv(matches: pd.DataFrame, scores: bool = True) -> bytes:
    columns = {"home_team": "HomeTeam", "away_team": "AwayTeam", "home_goals": "FTHG", "away_goals": "FTAG"}
    table = matches.rename(columns=columns)[list(columns.values())].assign(Div="E0")
    local = matches["kick_off"].dt.tz_convert("Europe/London")
    table["Date"], table["Time"] = local.dt.strftime("%d/%m/%Y"), local.dt.strftime("%H:%M")
    return table.drop(columns=[] if scores else ["FTHG", "FTAG"]).to_csv(index=False).encode()


def _forecasts(settings: Settings, as_of: datetime) -> pd.DataFrame:
    matches = as_known_at(load(settings, PL, now=as_of).matches, as_of)
    ahead = matches[matches["status"] == "scheduled"]
    states = compute_ratings(matches).team_states
    return forecast(EloModel(), ahead, states, 1, datetime(2025, 6, 1, tzinfo=UTC), as_of)


def test_what_a_run_in_the_past_fetches_was_not_known_then(site, tmp_path: Path) -> None:
    past, settings = datetime(2026, 3, 13, tzinfo=UTC), _remote(site, tmp_path)
    site.files["/mmz4281/2526/E0.csv"] = (HEADER + "E0,16/08/2025,Arsenal,Chelsea,2,1\n").encode()
    load(settings, PL, now=past)
    versions = FileArchive(Lake(settings.lake_root))
    assert versions.last(f"{site.url}/mmz4281/2526/E0.csv", past) is None
    assert versions.last(f"{site.url}/mmz4281/2526/E0.csv", datetime.now(UTC)) is not None


@pytest.mark.shared
def test_a_second_meeting_at_one_ground_that_is_still_to_come_is_a_match_of_its_own(
    site, tmp_path: Path, shared_data: Path
) -> None:
    text = (shared_data / "defects/SC0_1920.csv").read_text("cp1252")
    header, *rows = [line for line in text.splitlines() if line.strip()]
    goals = [header.split(",").index(name) for name in ("FTHG", "FTAG")]
    # the file of fixtures still lists the last match that was played
    ahead = [",".join(cell for i, cell in enumerate(row.split(",")) if i < min(goals)) for row in rows[149:]]
    site.files["/mmz4281/1920/SC0.csv"] = "\n".join([header, *rows[:150]]).encode()
    site.files["/fixtures.csv"] = "\n".join([header, *ahead]).encode()
    settings = _remote(site, tmp_path).model_copy(update={"first_season": 2019})
    as_of = datetime(2020, 2, 20, tzinfo=UTC)
    _fetch(settings, site, as_of)
    loaded = load(settings, "sco-premiership", now=as_of).matches
    whole = parse("\n".join([header, *rows]).encode(), "SC0.csv", "sco-premiership", "2019-20", "SC0").matches
    assert sorted(loaded["match_id"]) == sorted(whole["match_id"])
    assert loaded.set_index("match_id")["kick_off"].to_dict() == whole.set_index("match_id")["kick_off"].to_dict()
    assert (loaded["status"] == "played").sum() == 150


def test_a_web_page_in_place_of_a_file_fails_the_competition(site, tmp_path: Path) -> None:
    site.files["/mmz4281/2526/E0.csv"] = b"<html>gone</html>"
    with pytest.raises(SourceError, match="web page"):
        load(_remote(site, tmp_path), PL, now=datetime(2026, 3, 13, tzinfo=UTC))


def test_no_file_at_all_names_the_addresses(site, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"mmz4281/2526/E0.csv"):
        load(_remote(site, tmp_path), PL, now=datetime(2026, 3, 13, tzinfo=UTC))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(
        "league,season,when,home,away,hg,ag,neutral\n"
        "atl-island-league,2025,2025-05-01,Reef United,Lagoon,1,0,\n"
        "atl-island-league,2025,2025-05-08T18:30+00:00,Lagoon,Reef United,,,yes\n"
        "atl-island-league,2025,whenever,Lagoon,Reef United,1,1,\n"
    )
    return path


def test_own_files_are_read_through_a_column_map(own: Path, tmp_path: Path) -> None:
    columns = {"competition": "league", "kick_off": "when", "home_team": "home", "away_team": "away"}
    settings = Settings(
        home=tmp_path, source="files", files=own, files_columns=columns | {"home_goals": "hg", "away_goals": "ag"}
    )
    assert competitions(settings) == ("atl-island-league",)
    result = load(settings, "atl-island-league")
    assert result.matches["status"].tolist() == ["played", "scheduled"]
    assert result.matches["neutral"].tolist() == [False, True]
    (defect,) = result.quarantine.itertuples()
    assert (defect.file, defect.row) == ("mine.csv", 4)


def test_own_parquet_files_keep_their_types(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "competition": "atl-island-league",
            "season": [2025, 2025],
            "when": pd.to_datetime(["2025-05-01T18:30+02:00", "2025-05-08T18:30+02:00"]),
            "home_team": ["Reef United", "Lagoon"],
            "away_team": ["Lagoon", "Reef United"],
            "home_goals": [2.0, None],
            "away_goals": pd.array([0, None], dtype="Int64"),
            "odds_home": [1.9, 2.4],
            "odds_draw": [3.5, 3.25],
            "odds_away": [4.2, 3.1],
            "neutral": [False, True],
        }
    )
    table.to_parquet(tmp_path / "mine.parquet")
    result = load(
        Settings(home=tmp_path, source="files", files=tmp_path, files_columns={"kick_off": "when"}), "atl-island-league"
    )
    assert result.quarantine.empty
    assert result.matches["status"].tolist() == ["played", "scheduled"]
    assert result.matches["kick_off"].iloc[0].isoformat() == "2025-05-01T16:30:00+00:00"
    assert result.matches["home_goals"].iloc[0] == 2
    assert result.matches["odds_home"].tolist() == [1.9, 2.4]
    assert result.matches["neutral"].tolist() == [False, True]


def test_odds_in_own_files_are_known_when_the_file_says_or_was_first_seen(tmp_path: Path) -> None:
    header = "competition,season,kick_off,home_team,away_team,home_goals,away_goals,odds_home,odds_draw,odds_away,"
    rows = [
        "atl-island-league,2025,2025-05-01T15:00+00:00,Reef United,Lagoon,1,0,2,3,4,2025-04-30T12:00+00:00",
        "atl-island-league,2025,2025-05-08T15:00+00:00,Lagoon,Reef United,1,0,2,3,4,",
        "atl-island-league,2025,2025-06-08T15:00+00:00,Atoll,Reef United,,,2,3,4,",
        "atl-island-league,2025,2025-06-08T15:00+00:00,Lagoon,Atoll,,,,,,",
        "atl-island-league,2025,2025-06-15T15:00+00:00,Atoll,Lagoon,,,2,3,4,2025-06-01T12:00",
    ]
    (tmp_path / "mine.csv").write_text("\n".join([f"{header}odds_known_at", *rows]))
    settings, seen = Settings(home=tmp_path, source="files", files=tmp_path), datetime(2025, 6, 1, tzinfo=UTC)
    contents(tmp_path, FileArchive(Lake(settings.lake_root)), seen, seen)
    result = load(settings, "atl-island-league", now=seen)
    known_since = result.matches.set_index("match_id")["odds_known_at"].tolist()
    assert known_since[0] == pd.Timestamp("2025-04-30T12:00Z")
    assert known_since[1] == pd.Timestamp("2025-05-08T15:00Z"), (
        "a played match without a time: known from kick-off at the earliest"
    )
    assert sorted(map(str, known_since[2:])) == ["2025-06-01 00:00:00+00:00", "NaT"]
    (defect,) = result.quarantine.itertuples()
    assert "odds_known_at '2025-06-01T12:00' has no timezone" in defect.reason


def test_in_the_past_nobody_knows_who_will_play_in_a_later_season(tmp_path: Path) -> None:
    as_of = datetime(2024, 3, 1, tzinfo=UTC)
    matches = load(Settings(home=tmp_path, as_of=as_of), PL).matches
    assert matches["season"].max() == "2023-24"
    assert (matches["season"] == "2023-24").sum() == 380, "its fixtures are known"
    with pytest.raises(SourceError, match="by 2012-03-01"):
        load(Settings(home=tmp_path, as_of=datetime(2012, 3, 1, tzinfo=UTC)), PL)


@pytest.mark.shared
def test_a_league_outside_the_big_ones_comes_from_its_one_file(site, tmp_path: Path, shared_data: Path) -> None:
    site.files["/new/BRA.csv"] = (shared_data / "defects/BRA_all.csv").read_bytes()
    as_of = datetime(2025, 3, 1, tzinfo=UTC)
    settings = _remote(site, tmp_path, as_of=as_of).model_copy(update={"first_season": 2022})
    result = load(settings, "bra-serie-a")
    assert result.matches.groupby("season").size().to_dict() == {"2022": 380, "2023": 380, "2024": 380, "2025": 380}
    assert result.report["missing"] == [f"{site.url}/new_league_fixtures.csv"]


def test_a_match_twice_in_own_files_is_one_match_and_a_second_meeting_another(tmp_path: Path) -> None:
    header = "competition,season,kick_off,home_team,away_team,home_goals,away_goals\n"
    first = "atl-island-league,2025,2025-05-01,Reef United,Lagoon,1,0\n"
    (tmp_path / "a.csv").write_text(header + first + first)
    (tmp_path / "b.csv").write_text(header + first + first.replace("05-01", "09-01"))
    result = load(Settings(home=tmp_path, source="files", files=tmp_path), "atl-island-league")
    assert len(result.matches) == 2
    assert result.matches["match_id"].is_unique
    assert [(row.file, row.row) for row in result.quarantine.itertuples()] == [("a.csv", 3), ("b.csv", 2)]
    assert result.quarantine["reason"].eq("duplicate of a.csv row 2").all()


def test_own_files_are_read_as_they_were_known(tmp_path: Path) -> None:
    header = "competition,season,kick_off,home_team,away_team,home_goals,away_goals\n"
    path, first = tmp_path / "mine.csv", datetime(2025, 6, 1, tzinfo=UTC)
    settings = Settings(home=tmp_path, source="files", files=path)
    versions_of_the_row = [f"atl-island-league,2025,2025-05-01,Reef United,Lagoon,{goals},0\n" for goals in (1, 2)]
    for week, row in enumerate(versions_of_the_row):
        path.write_text(header + row)
        contents(path, FileArchive(Lake(settings.lake_root)), NOW, first + timedelta(weeks=week))
    then, now = (load(settings, "atl-island-league", now=as_of) for as_of in (first, NOW))
    assert (then.matches["home_goals"].item(), now.matches["home_goals"].item()) == (1, 2)


ISLES = "atl-island-league"


@pytest.fixture
def spelt_twice(tmp_path: Path) -> Settings:
    """Files that spell one club in two ways."""
    header = "competition,season,kick_off,home_team,away_team,home_goals,away_goals\n"
    rows = "".join(
        f"{ISLES},2025,2025-05-{day:02d},{home},{away},1,0\n"
        for day, (home, away) in enumerate(
            [("Reef United", "Lagoon"), ("Lagoon", "Reef Utd"), ("Lagoon", "Cape"), ("Cape", "Reef Utd")], start=1
        )
    )
    (tmp_path / "mine.csv").write_text(header + rows)
    return Settings(home=tmp_path, source="files", files=tmp_path / "mine.csv", competitions=(ISLES,))


def test_names_that_may_be_one_clubs_are_told(spelt_twice: Settings) -> None:
    assert load(spelt_twice, ISLES).report["alike"] == ["Reef United / Reef Utd"]
    assert "same club? Reef United / Reef Utd" in inspect_source(spelt_twice).text


def test_own_aliases_make_two_spellings_one_club(spelt_twice: Settings) -> None:
    table = spelt_twice.home / "aliases.csv"
    table.write_text("country,alias,canonical\natl,Reef Utd,Reef United\n")
    result = load(spelt_twice.model_copy(update={"aliases": table}), ISLES)
    assert sorted(set(result.matches["home_team"]) | set(result.matches["away_team"])) == [
        "Cape",
        "Lagoon",
        "Reef United",
    ]
    assert result.report["alike"] == []


def test_own_aliases_add_to_the_known_ones_and_unknown_clubs_stay_unknown(site, tmp_path: Path) -> None:
    rows = "E0,16/08/2025,The Gunners,Chelsea,2,1\nE0,17/08/2025,Man City,The Spurs,2,1\n"
    site.files["/mmz4281/2526/E0.csv"] = (HEADER + rows).encode()
    (tmp_path / "aliases.csv").write_text("country,alias,canonical\neng,The Gunners,Arsenal\n")
    result = load(_remote(site, tmp_path, aliases=tmp_path / "aliases.csv"), PL)
    assert result.matches["home_team"].tolist() == ["Arsenal"]
    assert "The Spurs" in result.quarantine["reason"].item()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("name,alias\n", "no column country, canonical")]
)
def test_an_alias_table_that_cannot_be_used_says_why(spelt_twice: Settings, content: str | None, message: str) -> None:
    table = spelt_twice.home / "aliases.csv"
    if content:
        table.write_text(content)
    with pytest.raises(SourceError, match=message):
        load(spelt_twice.model_copy(update={"aliases": table}), ISLES)


def test_own_files_without_the_map_say_what_they_have(own: Path) -> None:
    with pytest.raises(SourceError, match="TOUCHLINE_FILES_COLUMNS"):
        competitions(Settings(source="files", files=own))


def test_the_first_source_takes_precedence_the_second_fills_and_both_are_reported(premier_league) -> None:
    preferred = premier_league.tail(10).reset_index(drop=True)
    filler = preferred.assign(home_shots=12.0, source="other")
    filler.loc[3, "home_goals"] = 9.0
    merged, disagreements = merge([preferred, filler.tail(9)])
    assert merged["home_shots"].notna().sum() == 9
    assert merged.set_index("match_id")["home_goals"].equals(preferred.set_index("match_id")["home_goals"])
    (disagreement,) = disagreements.to_dict("records")
    assert (disagreement["field"], disagreement["source"], disagreement["other_source"]) == (
        "score",
        "bundled",
        "other",
    )


def test_sources_that_count_a_pairs_meetings_differently_mean_the_match_of_the_same_day(premier_league) -> None:
    first, second, third = ("2025-10-04", "2026-02-07", "2026-05-02")

    def table(source: str, days: tuple[str, ...], matchdays: tuple[float, ...]) -> pd.DataFrame:
        rows = premier_league.tail(len(days)).assign(home_team="Hearts", away_team="Hibernian", source=source)
        return conform(with_match_ids(rows.assign(kick_off=pd.to_datetime(days, utc=True), matchday=matchdays)))

    # by matchday, the October meeting that was postponed to May is still the first one
    preferred, other = table("one", (second, third), (20, 5)), table("two", (second, third), (float("nan"),) * 2)
    merged, disagreements = merge([preferred, other])
    assert merged.set_index("match_id")["kick_off"].to_dict() == preferred.set_index("match_id")["kick_off"].to_dict()
    assert [field for field in disagreements["field"] if field == "day"] == []
    # a meeting that only the second source has keeps its own number
    merged, _ = merge([preferred, table("two", (first, second, third), (float("nan"),) * 3)])
    assert len(merged) == merged["match_id"].nunique() == 3
    assert merged["kick_off"].dt.strftime("%Y-%m-%d").tolist() == [first, second, third]


def test_of_an_awarded_match_the_score_as_played_is_kept_and_the_award_flagged(premier_league) -> None:
    awarded = premier_league.tail(1).assign(home_goals=3.0, away_goals=0.0, awarded=True)
    as_played = premier_league.tail(1).assign(home_goals=0.0, away_goals=0.0)
    merged, disagreements = merge([awarded, as_played])
    assert (merged["home_goals"].item(), merged["awarded"].item()) == (0.0, True)
    assert disagreements["kept"].item() == "0-0"


@pytest.mark.shared
def test_three_sources_agree_on_a_season_of_the_premier_league(site, tmp_path: Path, shared_data: Path) -> None:
    site.files["/mmz4281/2324/E0.csv"] = (shared_data / "footballdata/E0_2324.csv").read_bytes()
    site.files["/2023-24/en.1.json"] = (shared_data / "openfootball/2023-24/en.1.json").read_bytes()
    settings = Settings(
        source="bundled,football_data,openfootball",
        football_data_url=site.url,
        openfootball_url=site.url,
        home=tmp_path,
        first_season=2023,
    )
    result = load(settings, PL, now=datetime(2024, 6, 1, tzinfo=UTC))
    season = result.matches[result.matches["season"] == "2023-24"]
    assert len(season) == 380
    assert season["home_shots"].notna().all()
    assert [disagreement for disagreement in result.report["disagreements"] if disagreement["field"] == "score"] == []


@pytest.mark.shared
def test_inspecting_a_file_with_hundreds_of_defects_tells_each_kind_once_what_is_lost_first(
    site, tmp_path: Path, shared_data: Path
) -> None:
    content = (shared_data / "openfootball/2025-26/en.3.json").read_bytes()
    site.files["/2025-26/en.3.json"] = content.replace(b'"AFC"', b'"AFX"')
    settings = Settings(source="openfootball", openfootball_url=site.url, home=tmp_path, first_season=2025)
    settings = settings.model_copy(update={"as_of": datetime(2026, 3, 13, tzinfo=UTC)})
    lost, mended = [line for line in inspect_source(settings, ["eng-league-one"]).text.splitlines() if " row " in line]
    assert lost.startswith("  rejected: 2025-26/en.3.json row 279: club 'AFX'")
    assert mended.startswith("  repaired: 2025-26/en.3.json row 277")
    assert mended.endswith("(and 271 more like it)")


def test_inspecting_the_bundled_replay_tells_what_is_still_to_come_where_it_stands(tmp_path: Path) -> None:
    output, unusable = inspect_source(Settings(home=tmp_path))
    (last,) = [line.split() for line in output.splitlines() if line.strip().startswith("2025-26")]
    matches = as_known_at(bundled.load(), bundled.REPLAY_AS_OF)
    assert int(last[3]) == (matches["status"] == "scheduled").sum() > 80
    assert output.startswith("source: bundled, as of 2026-03-13 12:00 UTC")
    assert unusable == ()


def test_inspecting_tells_what_a_source_holds_and_what_is_wrong_with_it(site, tmp_path: Path) -> None:
    rows = "E0,16/08/2025,Arsenal,Chelsea,2,1\nE0,23/08/2025,Chelsea,Arsenl,2,1\n"
    site.files["/mmz4281/2526/E0.csv"] = (HEADER + rows).encode()
    settings = _remote(site, tmp_path, as_of=datetime(2026, 3, 13, tzinfo=UTC))
    output, unusable = inspect_source(settings, [PL, "eng-championship"])
    assert unusable == ("eng-championship",)
    assert "1 matches from 1 files; 2 rows: 1 accepted, 1 rejected, 0 skipped" in output
    assert "row 3: club 'Arsenl'" in output
    assert "eng-championship\n  cannot be loaded" in output
