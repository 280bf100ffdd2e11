"""football-data.co.uk files with the peculiarities of real ones."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from features.competitions import COMPETITIONS
from features.errors import SourceError
from features.io.sources.football_data import odds_known_at, parse, parse_seasons
from features.matches import SCHEMA

HEADER = "Div,Date,Time,HomeTeam,AwayTeam,FTHG,FTAG,FTR,HS,AS,HST,AST,B365H,B365D,B365A,AvgCH,AvgCD,AvgCA"
GOOD = "E0,11/08/2023,20:00,Burnley,Man City,0,3,A,6,17,1,8,8,5.5,1.33,9.02,5.35,1.35"


def _read(*rows: str, encoding: str = "utf-8", fixtures: bool = False):
    content = "\r\n".join([HEADER, *rows]).encode(encoding)
    return parse(content, "2324/E0.csv", "eng-premier-league", "2023-24", "E0", fixtures)[:3]


def test_a_good_row_becomes_a_match_with_utc_kick_off_shots_and_odds() -> None:
    table, defects, rows = _read(GOOD)
    (match,) = table.itertuples()
    assert (rows, defects) == (1, [])
    assert match.match_id == "eng-premier-league-2023-24-burnley-manchester-city"
    assert match.kick_off.isoformat() == "2023-08-11T19:00:00+00:00"
    assert (match.home_goals, match.away_goals, match.home_shots, match.away_shots_on_target) == (0, 3, 6, 8)
    assert (match.odds_away, match.closing_home) == (1.33, 9.02)


@pytest.mark.parametrize(
    ("kick_off", "known_at"),
    [
        ("2023-12-09T15:00", "2023-12-08T18:00"),  # Saturday: collected on Friday
        ("2023-12-11T20:00", "2023-12-08T18:00"),  # Monday: collected on Friday
        ("2023-12-06T19:30", "2023-12-05T18:00"),  # Wednesday: collected on Tuesday
        ("2023-12-08T20:00", "2023-12-08T18:00"),  # Friday evening: collected that afternoon
        ("2023-12-05T17:30", "2023-12-05T17:30"),  # the match began before the collection was certainly over
        ("2023-07-01T14:00", "2023-06-30T17:00"),  # British summer time
    ],
)
def test_odds_count_as_known_when_their_day_of_collection_is_over(kick_off: str, known_at: str) -> None:
    start, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (kick_off, known_at))
    assert odds_known_at(start) == expected


def test_odds_of_a_match_to_come_are_known_since_their_file_was_there() -> None:
    seen = datetime(2023, 8, 10, 9, tzinfo=UTC)
    content = "\n".join([HEADER, GOOD.replace(",0,3,A", ",,,"), GOOD.replace("Man City", "Chelsea")]).encode()
    table = parse(content, "fixtures.csv", "eng-premier-league", "2023-24", "E0", True, fetched_at=seen).matches
    known_since = table.set_index("away_team")["odds_known_at"]
    assert known_since["Manchester City"] == seen
    assert known_since["Chelsea"] == datetime(2023, 8, 11, 17, tzinfo=UTC), (
        "a played match: known from its day of collection"
    )
    none = GOOD.replace("8,5.5,1.33", ",,")
    assert pd.isna(_read(none)[0]["odds_known_at"].item())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_both_encodings_are_read(encoding: str) -> None:
    assert len(_read(GOOD + ",caf\xe9", encoding=encoding)[0]) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD.replace("11/08/2023", "32/08/2023"), "date"),
        (GOOD.replace("11/08/2023", "11/08/2019"), "not in the season"),
        (GOOD.replace(",0,3,A", ",,,"), "no score"),
        (GOOD.replace(",0,3,A", ",0,x,A"), "not a number"),
        (GOOD.replace(",0,3,A", ",0,99,A"), "whole number"),
        (GOOD.replace("Man City", "Burnley"), "home and away club are both"),
        (GOOD.replace("Man City", ""), "club is missing"),
        (GOOD.replace("Man City", "Manchester Cty"), r"2324/E0.csv row 3.*nearest known: Manchester City"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_reason_and_the_rest_is_kept(row: str, reason: str) -> None:
    table, defects, rows = _read(GOOD, row)
    (defect,) = defects
    assert (len(table), rows, defect.row, defect.repaired) == (1, 2, 3, False)
    assert __import__("re").search(reason, defect.reason)


@pytest.mark.parametrize(
    ("row", "reason", "empty"),
    [
        (GOOD.replace("8,5.5,1.33", "x,5.5,1.33"), "not decimal odds", "odds_home"),
        (GOOD.replace("6,17,1,8", "6,17,9,8"), "more shots on target", "home_shots"),
        (GOOD + ",surplus", "more cells", None),
        (GOOD.replace("0,3,A", "0,3,H"), "FTR is H", None),
    ],
)
def test_what_can_be_put_right_is_kept_and_noted(row: str, reason: str, empty: str | None) -> None:
    table, (defect,), _ = _read(row)
    assert defect.repaired
    assert reason in defect.reason
    assert empty is None or table[empty].isna().all()


def test_trailing_commas_and_blank_rows_are_nothing() -> None:
    table, defects, rows = _read(GOOD + ",,,,", ",,,,,,,", "")
    assert (len(table), defects, rows) == (1, [], 1)


def test_the_same_match_twice_is_refused_the_second_time() -> None:
    table, (defect,), _ = _read(GOOD, GOOD)
    assert len(table) == 1
    assert "row 2" in defect.reason


def test_of_the_fixtures_file_only_the_division_asked_for_is_read() -> None:
    table, defects, rows = _read(GOOD.replace(",0,3,A", ",,,"), GOOD.replace("E0", "E1"), fixtures=True)
    assert (table["status"].tolist(), defects, rows) == (["scheduled"], [], 1)


def test_a_file_with_too_many_bad_rows_is_not_trusted() -> None:
    with pytest.raises(SourceError, match="rows rejected"):
        _read(*[GOOD.replace("11/08/2023", "nonsense")] * 30)


def test_a_file_that_is_no_csv_of_matches_says_what_it_is() -> None:
    with pytest.raises(SourceError, match="no column"):
        parse(b"a,b\n1,2", "x.csv", "eng-premier-league", "2023-24", "E0")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "competition", "season", "division", "matches", "refused"),
    [
        ("E0_0304.csv", "eng-premier-league", "2003-04", "E0", 380, 0),
        ("F1_0203.csv", "fra-ligue-1", "2002-03", "F1", 380, 0),
        ("G1_1415.csv", "gre-super-league", "2014-15", "G1", None, None),
        ("SC0_1920.csv", "sco-premiership", "2019-20", "SC0", 179, 0),
        ("T1_1314.csv", "tur-super-lig", "2013-14", "T1", 306, 0),
        ("EC_1819.csv", "eng-national-league", "2018-19", "EC", 552, 0),
        ("WC_1819.csv", "eng-national-league", "2018-19", "EC", 552, 0),
    ],
)
def test_known_defective_files_are_read(
    shared_data: Path, file: str, competition: str, season: str, division: str, matches: int | None, refused: int | None
) -> None:
    content = (shared_data / "defects" / file).read_bytes()
    table, defects, rows, _ = parse(content, file, competition, season, division)
    rejected = sum(not defect.repaired for defect in defects)
    assert len(table) == rows - rejected
    assert table["match_id"].is_unique
    assert matches in (None, len(table))
    assert refused in (None, rejected)


ALL_SEASONS = "Country,League,Season,Date,Time,Home,Away,HG,AG,Res,AvgCH,AvgCD,AvgCA"


def test_seasons_of_one_file_are_told_apart_and_what_is_wrong_with_a_row_is_said() -> None:
    rows = [
        "Brazil,Serie A,2023,19/05/2023,22:30,Palmeiras,Santos,1,1,D,1.75,3.86,5.25",
        "Brazil,Serie A,2024,19/05/2024,22:30,Palmeiras,Santos,2,1,H,1.75,3.86,5.25",
        "Brazil,Serie A,2024/2025,19/01/2025,22:30,Palmeiras,Santos,0,1,A,1.75,3.86,5.25",
        "Brazil,Serie A,last,19/05/2024,22:30,Palmeiras,Santos,2,1,H,1.75,3.86,5.25",
        "Brazil,Serie A,2024,19/05/2024,22:30,Palmeiras,Santos,2,1,H,1.75,3.86,5.25",
    ]
    content = "\n".join([ALL_SEASONS, *rows]).encode()
    table, defects, count, _ = parse_seasons(content, "new/BRA.csv", "bra-serie-a", [2024])
    assert (count, table["season"].tolist()) == (4, ["2024", "2024-25"])
    assert table["kick_off"].iloc[0].isoformat() == "2024-05-19T21:30:00+00:00", "times are British"
    assert table[["odds_home", "odds_known_at"]].isna().all(axis=None)
    assert [(defect.row, defect.reason) for defect in defects] == [
        (5, "season 'last' is not of the form 2024 or 2024/2025"),
        (6, "duplicate of row 3"),
    ]


@pytest.mark.shared
def test_an_error_page_and_a_wrong_division_fail_the_file(shared_data: Path) -> None:
    with pytest.raises(SourceError, match="web page"):
        parse((shared_data / "defects/AUS_all.csv").read_bytes(), "AUS.csv", "aus-a-league", "2019-20", "AUS")
    with pytest.raises(SourceError, match="EC, not WC"):
        parse((shared_data / "defects/WC_1819.csv").read_bytes(), "WC.csv", "wal-premier", "2018-19", "WC")


@pytest.mark.shared
@pytest.mark.parametrize("file", ["E0_2122.csv", "F2_2223.csv"])
def test_a_mangled_byte_order_mark_hides_no_wrong_division(shared_data: Path, file: str) -> None:
    content = (shared_data / "footballdata" / file).read_bytes()
    assert content.decode().startswith("ï»¿Div")
    slug, season = ("eng-premier-league", "2021-22") if file[0] == "E" else ("fra-ligue-2", "2022-23")
    assert len(parse(content, file, slug, season, file[:2])[0]) == 380
    with pytest.raises(SourceError, match=f"holds division {file[:2]}, not X1"):
        parse(content, file, slug, season, "X1")


@pytest.mark.shared
@pytest.mark.slow
def test_all_files_are_read_and_every_club_is_known(shared_data: Path) -> None:
    by_division = {competition.football_data: competition.slug for competition in COMPETITIONS}
    refused = []
    for path in sorted((shared_data / "footballdata").glob("*.csv")):
        division, years = path.stem.split("_")
        season = f"20{years[:2]}-{years[2:]}"
        table, defects, _, _ = parse(path.read_bytes(), path.name, by_division[division], season, division)
        assert list(table.columns) == SCHEMA.names
        refused += [(path.name, defect.row, defect.reason) for defect in defects if not defect.repaired]
    assert [rejection for rejection in refused if "no score" not in rejection[2]] == []


def test_rows_of_other_divisions_and_seasons_are_counted() -> None:
    """So that the rows of the account are those of the file."""
    fixtures = "\n".join([HEADER, GOOD.replace(",0,3,A", ",,,"), *[GOOD.replace("E0,", "E1,", 1)] * 3]).encode()
    parsed = parse(fixtures, "fixtures.csv", "eng-premier-league", "2023-24", "E0", fixtures=True)
    assert (parsed.rows, parsed.other_rows) == (1, 3)
    header = "Country,League,Season,Date,Home,Away,HG,AG"
    days = [(year, day) for year in (2022, 2023, 2024) for day in (1, 2)]
    rows = [f"Brazil,Serie A,{year},0{day}/05/{year},Flamengo RJ,Santos,1,0" for year, day in days]
    parsed = parse_seasons("\n".join([header, *rows]).encode(), "new/BRA.csv", "bra-serie-a", [2024])
    assert (parsed.rows, parsed.other_rows) == (2, 4)
