"""What real files do wrong, each with the file that does it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.competitions import competition
from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources import football_data, load, openfootball
from features.io.sources.source_result import Defect

pytestmark = pytest.mark.shared

Read = tuple[pd.DataFrame, list[Defect], int]


def _csv(folder: Path, file: str, slug: str) -> Read:
    """Parse a football-data.co.uk file whose name tells its season and division."""
    division, years = Path(file).stem.split("_")
    season = f"20{years[:2]}-{years[2:]}"
    return football_data.parse((folder / file).read_bytes(), Path(file).name, slug, season, division)[:3]


def _json(folder: Path, name: str, slug: str) -> Read:
    content = (folder / "openfootball" / name).read_bytes()
    return openfootball.parse(content, name, slug, name[:7], competition(slug).timezone)[:3]


@pytest.mark.parametrize(
    ("file", "slug"), [("defects/E0_0304.csv", "eng-premier-league"), ("defects/F1_0203.csv", "fra-ligue-1")]
)
def test_ragged_rows_and_blank_tails_lose_no_match_and_no_odds(shared_data: Path, file: str, slug: str) -> None:
    table, defects, _ = _csv(shared_data, file, slug)
    assert (len(table), defects) == (380, [])
    assert table["odds_home"].notna().all()
    assert table["home_goals"].notna().all()


def test_a_file_with_a_byte_order_mark_has_its_first_column(shared_data: Path) -> None:
    content = (shared_data / "defects/BRA_all.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    with pytest.raises(SourceError, match="rows rejected") as error:  # this file holds all seasons, not one
        football_data.parse(content, "BRA_all.csv", "bra-serie-a", "2012-13", "BRA")
    assert "no column" not in str(error.value)


def test_a_file_of_all_seasons_gives_whole_seasons_and_no_odds_before_the_match(
    shared_data: Path,
) -> None:
    content = (shared_data / "defects/BRA_all.csv").read_bytes()
    table, defects, rows, _ = football_data.parse_seasons(content, "new/BRA.csv", "bra-serie-a", range(2018, 2026))
    assert (rows, defects) == (8 * 380, [])
    assert table.groupby("season").size().eq(380).all()
    assert table["match_id"].is_unique
    last = table.loc[table["season"] == "2020", "kick_off"].max()
    assert last.date().isoformat() == "2021-02-26", "that season ended in the next year"
    assert table[["odds_home", "odds_known_at"]].isna().all(axis=None), "its odds are closing odds"
    assert table["closing_home"].notna().mean() > 0.99


@pytest.mark.parametrize(("file", "digits"), [("E0_1415", 2), ("E0_1516", 4), ("F1_0607", 4), ("E0_1920", 4)])
def test_years_of_two_and_four_digits_are_the_same_years(shared_data: Path, file: str, digits: int) -> None:
    slug = "fra-ligue-1" if file.startswith("F1") else "eng-premier-league"
    text = (shared_data / f"footballdata/{file}.csv").read_text("cp1252")
    first = [line for line in text.splitlines() if line.strip()][1]
    assert len(first.split(",")[1].split("/")[2]) == digits
    table, _, _ = _csv(shared_data, f"footballdata/{file}.csv", slug)
    assert set(table["kick_off"].dt.year) == {2000 + int(file[3:5]), 2000 + int(file[5:])}


def test_a_row_without_score_is_refused_and_named(shared_data: Path) -> None:
    table, (defect,), rows = _csv(shared_data, "defects/G1_1415.csv", "gre-super-league")
    assert (len(table), rows) == (305, 306)
    assert (defect.file, defect.row, defect.reason) == ("G1_1415.csv", 302, "no score in a file of results")


def test_a_row_of_broken_spreadsheet_cells_is_passed_over_and_named(shared_data: Path) -> None:
    table, (defect,), _ = _csv(shared_data, "defects/T1_1314.csv", "tur-super-lig")
    assert len(table) == 306
    assert (defect.row, defect.repaired) == (308, True)
    assert "#REF!" in defect.reason


@pytest.mark.parametrize("years", ["1819", "1920"])  # the averages are called BbAv before, Avg and AvgC after
def test_odds_are_found_under_their_old_and_new_names(shared_data: Path, years: str) -> None:
    table, _, _ = _csv(shared_data, f"footballdata/E0_{years}.csv", "eng-premier-league")
    assert table[["odds_home", "odds_draw", "odds_away", "closing_home", "closing_away"]].notna().all(axis=None)


def test_shots_are_there_from_2000_in_england_and_later_elsewhere(shared_data: Path) -> None:
    english, _, _ = _csv(shared_data, "defects/E0_0304.csv", "eng-premier-league")
    french, _, _ = _csv(shared_data, "defects/F1_0203.csv", "fra-ligue-1")
    assert english["home_shots"].notna().all()
    assert french["home_shots"].isna().all()


def test_more_shots_on_target_than_shots_are_left_out(shared_data: Path) -> None:
    table, defects, _ = _csv(shared_data, "footballdata/E0_2122.csv", "eng-premier-league")
    assert [(defect.row, defect.repaired) for defect in defects if "more shots on target" in defect.reason] == [
        (10, True)
    ]
    assert table["away_shots"].isna().sum() == 1


def test_a_pair_that_meets_twice_at_one_ground_plays_two_matches_and_a_season_may_be_short(shared_data: Path) -> None:
    table, defects, _ = _csv(shared_data, "defects/SC0_1920.csv", "sco-premiership")
    assert (len(table), defects) == (179, [])
    assert table["match_id"].is_unique
    assert table["match_id"].str.endswith("-2").sum() == table.duplicated(["home_team", "away_team"]).sum() == 48
    french, _, _ = _csv(shared_data, "footballdata/F1_1920.csv", "fra-ligue-1")
    assert len(french) == 279


def test_cancelled_matches_are_refused_by_row_and_postponed_ones_wait(shared_data: Path) -> None:
    table, defects, rows = _json(shared_data, "2019-20/fr.1.json", "fra-ligue-1")
    assert (len(table), rows) == (279, 380)
    assert {defect.reason for defect in defects} == {"the match was cancelled"}
    assert all(defect.row and defect.file for defect in defects)
    english, _, _ = _json(shared_data, "2025-26/en.1.json", "eng-premier-league")
    assert (english["status"] == "postponed").sum() == 1
    assert english.loc[english["status"] != "played", "home_goals"].isna().all()


def test_of_a_match_with_extra_time_the_ninety_minutes_count(shared_data: Path) -> None:
    import json

    name = "2019-20/it.2.json"
    raw = json.loads((shared_data / "openfootball" / name).read_bytes())["matches"]
    (long,) = (entry for entry in raw if "p" in (entry.get("score") or {}))
    table, _, _ = _json(shared_data, name, "ita-serie-b")
    rows_of_the_day = table[table["kick_off"].dt.strftime("%Y-%m-%d") == long["date"]]
    assert long["score"]["ft"] in rows_of_the_day[["home_goals", "away_goals"]].astype(int).to_numpy().tolist()


def test_without_a_time_of_day_only_the_day_is_known(shared_data: Path) -> None:
    table, _, _ = _json(shared_data, "2018-19/es.2.json", "esp-segunda")
    assert (~table["kick_off_exact"]).sum() == 20


def test_verona_against_roma_is_kept_as_played_and_flagged_as_awarded(site, tmp_path: Path, shared_data: Path) -> None:
    site.files["/mmz4281/2021/I1.csv"] = (shared_data / "footballdata/I1_2021.csv").read_bytes()
    site.files["/2020-21/it.1.json"] = (shared_data / "openfootball/2020-21/it.1.json").read_bytes()
    address = {"football_data_url": site.url, "openfootball_url": site.url}
    settings = Settings(source="football_data,openfootball", home=tmp_path, first_season=2020, **address)
    result = load(settings, "ita-serie-a", now=pd.Timestamp("2021-06-01", tz="UTC").to_pydatetime())
    (match,) = result.matches[result.matches["awarded"]].itertuples()
    assert (match.kick_off.strftime("%Y-%m-%d"), match.home_goals, match.away_goals) == ("2020-09-19", 0, 0)
    assert any(
        disagreement["match_id"] == match.match_id and disagreement["kept"] == "0-0"
        for disagreement in result.report["disagreements"]
    )
