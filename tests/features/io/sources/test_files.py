"""Own files: what strangers' tables contain is read rightly, or refused by row, or an error with what to do."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources import football_data, load
from features.io.sources.archive import FileArchive
from features.io.sources.column_map import ColumnSetting
from features.io.sources.file_listing import list_files
from features.io.sources.files import Content, FilesParse, competitions, contents, parse_all
from features.io.sources.own_table import TableReader
from features.io.store import Lake

SEEN = datetime(2026, 1, 1, tzinfo=UTC)
HIB = "hib-premier"
HEADER = "competition,season,kick_off,home_team,away_team,home_goals,away_goals"


def _parse(data: bytes, slug: str = HIB, setting: Mapping[str, str] | None = None, file: str = "m.csv") -> FilesParse:
    return parse_all({file: Content(data, SEEN)}, slug, TableReader(ColumnSetting.parse(setting or {})))


def _read(*rows: str, header: str = HEADER, slug: str = HIB, setting: Mapping[str, str] | None = None) -> FilesParse:
    return _parse("\n".join([header, *rows]).encode(), slug, setting)


def _reasons(parsed: FilesParse) -> list[tuple[int, str]]:
    return [(defect.row, defect.reason) for defect in parsed.defects]


def test_every_row_is_a_match_rejected_or_of_another_league() -> None:
    """Blanks and capitals in the league are read, an empty one is refused, and the sums add up."""
    leagues = (HIB, f"{HIB} ", f" {HIB}", "Hib-Premier", "", "atl-island-league")
    rows = [f"{league},2025,2025-04-{day:02d},A,B,1,0" for day, league in enumerate(leagues, 1)]
    parsed = _read(*rows)
    assert (len(parsed.matches), parsed.rows) == (4, 5)
    assert _reasons(parsed) == [(6, "competition is empty")]
    assert parsed.other_rows == 1
    assert parsed.notes[-1] == "rows of other competitions: atl-island-league 1"


def test_a_league_that_is_no_slug_is_told_what_to_write(tmp_path: Path) -> None:
    """A name of several words becomes a slug and is told; another one is an error with the constant to set."""
    assert (
        "competition 'My League' is read as my-league"
        in _read("My League,2025,2025-04-05,A,B,1,0", slug="my-league").notes[0]
    )
    (tmp_path / "m.csv").write_text(f"{HEADER}\nSuperliga,2025,2025-04-05,A,B,1,0")
    with pytest.raises(SourceError, match=r"'Superliga' is no slug .*\"competition\": \"=xyz-superliga\""):
        competitions(tmp_path, TableReader(ColumnSetting()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", True),
        ("Y", True),
        ("t", True),
        ("TRUE", True),
        ("0.0", False),
        ("no", False),
        ("NA", False),
        ("", False),
    ],
)
def test_flags_are_read_in_common_words(text: str, expected: bool) -> None:
    """Words for yes, no and nothing."""
    parsed = _read(f"{HIB},2025,2025-04-05,A,B,1,0,{text}", header=f"{HEADER},neutral")
    assert parsed.matches["neutral"].tolist() == [expected]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",0,no", ",0,wahr", "neutral 'wahr' is neither true nor false"),
        (",1,0,", ",1,,", "only one side has goals: '1' and ''"),
        (",1,0,", ",inf,0,", "home_goals 'inf' is not a number"),
        (",1,0,", ",1_0,0,", "home_goals '1_0' is not a number"),
        (",1,0,", ",1.5,0,", "home_goals '1.5' is not a whole number from 0 to 50"),
        (",1,0,", ",99,0,", "home_goals '99' is not a whole number from 0 to 50"),
        (",2025,", ",2425,", "season '2425' is not of the form 2025-26 or 2025; write 2024-25"),
        (",2025,", ",2024-26,", "its years do not follow each other"),
        (",2025,", ",,", "season is empty"),
        ("2025-04-06", "2015-04-06", "2015-04-06 is not in the season 2025"),
        ("2025-04-06", "soon", "date 'soon' is not in a known format"),
        (",A,B,", ",NA,B,", "home_team and away_team must be two clubs"),
        (",A,B,", ",A,A,", "home_team and away_team must be two clubs"),
    ],
)
def test_a_cell_that_is_unknown_costs_its_row_only(old: str, new: str, reason: str) -> None:
    """The row is refused with its line, value and reason; the others are kept."""
    good = [f"{HIB},2025,2025-04-{day:02d},A,B,1,0,no" for day in (5, 6)]
    parsed = _read(good[0], good[1].replace(old, new), header=f"{HEADER},neutral")
    ((row, told),) = _reasons(parsed)
    assert (len(parsed.matches), row) == (1, 3)
    assert reason in told


@pytest.mark.parametrize("word", ["NaN", " nan ", "NA", "None", "null", "-", ""])
def test_words_for_nothing_are_a_match_to_come(word: str) -> None:
    """Goals that a data frame or a spreadsheet writes as missing are missing."""
    assert _read(f"{HIB},2025,2025-04-05,A,B,{word},{word}").matches["status"].tolist() == ["scheduled"]


def test_true_results_of_unequal_sides_are_kept() -> None:
    """31-0 was played; `2.0` is 2."""
    matches = _read(f"{HIB},2025,2025-04-05,A,B,31,0", f"{HIB},2025,2025-04-06,A,B,2.0,1").matches
    assert matches["home_goals"].tolist() == [31, 2]


@pytest.mark.parametrize(
    ("label", "season"),
    [("2024/25", "2024-25"), ("2024-2025", "2024-25"), ("24/25", "2024-25"), ("2024", "2024"), ("2024.0", "2024")],
)
def test_seasons_are_read_in_common_forms(label: str, season: str) -> None:
    """One or two years, with either sign between."""
    assert _read(f"{HIB},{label},2024-09-05,A,B,1,0").matches["season"].tolist() == [season]


@pytest.mark.parametrize(("label", "shift"), [("2024", 0), ("2025", 1)])
def test_one_year_of_an_autumn_season_is_read_by_its_dates(label: str, shift: int) -> None:
    """Whether the year is that of the beginning or of the end."""
    days = ("2024-09-01", "2024-10-01", "2025-02-01", "2025-04-01", "2025-05-01")
    parsed = _read(*(f"{HIB},{label},{day},A,B,1,0" for day in days))
    assert parsed.matches["season"].unique().tolist() == ["2024-25"]
    assert f"season {label} is read as 2024-25, as its dates show" in parsed.notes


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (("08/31/2024", "09/07/2024"), ["2024-08-31", "2024-09-07"]),  # one date decides
        (("31/08/2024", "07/09/2024"), ["2024-08-31", "2024-09-07"]),
        (("09/05/2024", "10/05/2024"), ["2024-09-05", "2024-10-05"]),  # day first, May 2024 is not in the season
        (("07/09/2024", "05/10/2024"), ["2024-09-07", "2024-10-05"]),  # nothing tells: day first
        (("15 Sep 2024", "20240920"), ["2024-09-15", "2024-09-20"]),
    ],
)
def test_the_order_of_day_and_month_is_the_files(dates: tuple[str, ...], expected: list[str]) -> None:
    """It is found from all dates and, if they do not tell, from the season."""
    parsed = _read(*(f"{HIB},2024-25,{day},A,B,1,0" for day in dates))
    assert sorted(parsed.matches["kick_off"].dt.strftime("%Y-%m-%d")) == expected


def test_where_dates_have_both_orders_the_doubtful_are_refused() -> None:
    """A date that fits one order is read; one that fits both costs its row."""
    parsed = _read(*(f"{HIB},2024-25,{day},A,B,1,0" for day in ("08/31/2024", "30/09/2024", "09/10/2024")))
    assert parsed.matches["kick_off"].dt.strftime("%Y-%m-%d").tolist() == ["2024-08-31", "2024-09-30"]
    assert "may be day first or month first" in parsed.defects[0].reason


@pytest.mark.parametrize(
    ("cell", "setting", "expected"),
    [
        ("2025-04-05 19:30", {"timezone": "=Europe/Madrid"}, "2025-04-05T17:30"),
        ("13/04/2025 8:00 PM", {"timezone": "=Europe/Madrid"}, "2025-04-13T18:00"),
        ("2025-04-05T19:30:00+02:00", {}, "2025-04-05T17:30"),
        ("2025-04-05 20:00 UTC+1", {}, "2025-04-05T19:00"),
        ("2025-04-05 19:30", {}, None),
        ("2025-04-05T00:00:00Z", {}, None),
        ("2025-04-05 24:00", {"timezone": "=Europe/Madrid"}, None),
    ],
)
def test_a_time_is_exact_or_only_its_day_is_known(cell: str, setting: dict[str, str], expected: str | None) -> None:
    """Times count in their own zone or in that of the setting; midnights of a whole column are days."""
    (match,) = _read(f"{HIB},2025,{cell},A,B,1,0", setting=setting).matches.itertuples()
    assert match.kick_off_exact == (expected is not None)
    assert match.kick_off.strftime("%Y-%m-%dT%H:%M") == expected or match.kick_off.strftime("%Y-%m-%d") == "2025-04-05"


@pytest.mark.parametrize(
    ("cells", "odds", "reason"),
    [
        ("2.1,3.4,3.5", 2.1, ""),
        ("+130,+220,+210", 2.3, "American"),
        ("11/10,12/5,5/2", 2.1, ""),
        ('"2,10","3,40","3,50"', 2.1, ""),
        ("222,340,350", None, "not decimal odds of one book"),
        ("1.10,2.40,2.50", None, "not decimal odds of one book"),
        ("0,0,0", None, "not decimal odds"),
        ("2.1,,3.5", None, "not complete"),
        ("0.40,4.2,6.1", None, "not decimal odds between 1 and 2000"),
    ],
)
def test_odds_are_a_plausible_book_or_left_out(cells: str, odds: float | None, reason: str) -> None:
    """What is certain is converted; what is not is left out with a note, and the match stays."""
    parsed = _read(f"{HIB},2025,2025-04-05,A,B,1,0,{cells}", header=f"{HEADER},odds_home,odds_draw,odds_away")
    assert [*parsed.matches["odds_home"]] == pytest.approx([np.nan if odds is None else odds], nan_ok=True)
    assert [reason in defect.reason for defect in parsed.defects] == [True] * bool(reason)


def test_rows_keep_their_line_and_extra_cells_cost_a_row() -> None:
    """Blank lines count, empty extra cells are nothing, and one more cell is refused."""
    row = f"{HIB},2025,2025-04-05,A,B,1,0"
    parsed = _read(f"{row},,", "", f"{row.replace('05,', '06,')},replay", row.replace("05,", "07,"))
    assert (len(parsed.matches), _reasons(parsed)) == (2, [(4, "8 cells in a table of 7 columns")])


@pytest.mark.parametrize(
    ("setting", "header", "message"),
    [
        (
            {"home_goals": "HomeGoals"},
            HEADER.replace("home_goals", "HG"),
            r"no column 'HomeGoals'.*maps to home_goals; it has .*HG",
        ),
        ({"home_score": "HG"}, HEADER, r"maps 'home_score', which is no column of a match; nearest: home_goals"),
        ({"HG": "home_goals"}, HEADER, r'write it the other way round: \{"home_goals": "HG"\}'),
        (
            {},
            HEADER.replace("goals", "points"),
            r"no column home_goals, away_goals although its matches are past; it has .*home_points",
        ),
        ({}, HEADER.replace("season", "year"), r"no column season; it has .*year.*=autumn-spring"),
        ({}, HEADER.replace("kick_off", "when"), r"no column kick_off; it has .*when.*TOUCHLINE_FILES_COLUMNS"),
        ({"competition": "=Premier"}, HEADER, r"competition 'Premier' is none; write a slug"),
        ({"season": "=2425"}, HEADER, r"season '2425' is not of the form"),
    ],
)
def test_columns_that_do_not_fit_are_an_error(setting: dict[str, str], header: str, message: str) -> None:
    """The error has the file's own columns, or the name that was probably meant."""
    with pytest.raises(SourceError, match=message):
        _read(f"{HIB},2025,2025-04-05,A,B,1,0", header=header, setting=setting)


@pytest.mark.parametrize(
    ("file", "season"),
    [
        ("hib-premier-2024-25.csv", "2024-25"),
        ("hib-premier_season-2425.csv", "2024-25"),
        ("hib-premier-2024.csv", "2024"),
    ],
)
def test_league_and_season_may_come_from_the_files_name(file: str, season: str) -> None:
    """`=file` takes what the name says."""
    data = b"Date,Home,Away,HG,AG\n2024-09-05,A,B,1,0"
    parsed = _parse(data, HIB, {"competition": "=file", "season": "=file"}, file)
    assert parsed.matches["season"].tolist() == [season]


def test_data_frames_saved_as_parquet_keep_their_meaning() -> None:
    """Flags with gaps, days as UTC midnights, goals and seasons as numbers or text with gaps."""
    frame = pd.DataFrame(
        {
            "competition": pd.Categorical([HIB] * 3),
            "season": [2025.0, 2025.0, np.nan],
            "kick_off": pd.to_datetime(["2025-04-05", "2025-04-12", "2025-04-19"], utc=True),
            "home_team": ["A", "B", "C"],
            "away_team": ["B", "C", "A"],
            "home_goals": ["2", "nan", "0"],
            "away_goals": [1.0, np.nan, 0.0],
            "neutral": [1.0, np.nan, 0.0],
            "lists": [[1], [], None],
        }
    )
    raw = io.BytesIO()
    frame.to_parquet(raw)
    parsed = _parse(raw.getvalue(), file="m.parquet")
    assert parsed.matches["neutral"].tolist() == [True, False]
    assert parsed.matches["kick_off_exact"].tolist() == [False, False]
    assert parsed.matches["status"].tolist() == ["played", "scheduled"]
    assert _reasons(parsed) == [(4, "season is empty")]


def test_a_parquet_file_that_claims_too_many_rows_is_refused() -> None:
    """Its own count is asked before any row is read."""
    raw = io.BytesIO()
    pd.DataFrame({"competition": np.full(1_000_001, 7, "int8")}).to_parquet(raw)
    with pytest.raises(SourceError, match="1,000,001 rows, more than 1,000,000"):
        _parse(raw.getvalue(), file="m.parquet")


def test_files_that_are_passed_over_are_named(tmp_path: Path) -> None:
    """Any case, compression and sub-folder is read; the rest is told."""
    for name in ("a.csv", "B.CSV", "sub/d.csv", "e.txt", "c.csv.gz", "._a.csv", "notes.md", "x.csv/y.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(HEADER)
    listing = list_files(tmp_path)
    assert sorted(listing.files) == ["B.CSV", "a.csv", "c.csv.gz", "e.txt", "sub/d.csv"]
    assert sorted(listing.passed_over) == [
        "._a.csv: a hidden file",
        "notes.md: not a CSV or parquet file",
        "x.csv: a folder, named like a file",
    ]


CELL = st.one_of(
    st.sampled_from(["", "2025", "2024/25", "2025-04-05", "08/31/2024", "31/12/9999", "20:00", HIB, "1", "NaN", "E0"]),
    st.text(max_size=6),
)
LINES = st.lists(st.lists(CELL, min_size=5, max_size=9).map(",".join), max_size=6)


@given(LINES, st.sampled_from([HEADER, f"{HEADER},time,timezone,neutral,odds_home,odds_draw,odds_away"]))
@settings(deadline=None)
def test_any_rows_are_matches_rejected_or_one_error(lines: list[str], header: str) -> None:
    """Whatever the cells, every row has a fate or the file has one error."""
    try:
        parsed = _read(*(f"{HIB},2025,{line}" for line in lines), header=header)
    except SourceError:
        return
    rejected = {(defect.file, defect.row) for defect in parsed.defects if not defect.repaired}
    assert parsed.rows == len(parsed.matches) + len(rejected)


@given(st.binary(max_size=200), st.sampled_from([b"", b"PAR1", b"PK\x03\x04", b"\x1f\x8b", HEADER.encode() + b"\n"]))
@settings(deadline=None)
def test_any_bytes_are_a_table_or_one_error(data: bytes, start: bytes) -> None:
    """Own files and football-data files end in a table or a SourceError."""
    for parse in (
        lambda content: _parse(content),
        lambda content: football_data.parse(content, "E0.csv", "eng-premier-league", "2025-26", "E0"),
        lambda content: football_data.parse_seasons(content, "BRA.csv", "bra-serie-a", range(1990, 2030)),
    ):
        try:
            parse(start + data)
        except SourceError:
            continue


FD = "Div,Date,Time,HomeTeam,AwayTeam,FTHG,FTAG,FTR,HS,AS,AvgH,AvgD,AvgA"


@given(LINES)
@settings(deadline=None)
def test_any_rows_of_football_data_are_told(lines: list[str]) -> None:
    """Whatever the cells, there is a table or one error."""
    data = "\n".join([FD, *(f"E0,{line}" for line in lines)]).encode("utf-8", "replace")
    try:
        football_data.parse(data, "E0.csv", "eng-premier-league", "2025-26", "E0")
    except SourceError:
        return


def test_an_unusable_file_takes_no_other_with_it() -> None:
    """A web page, a table of something else and a file of rejected rows are told; the matches of the others stay."""
    good = f"{HEADER}\n{HIB},2025,2025-04-05,A,B,1,0".encode()
    bad = {
        "page.csv": b"<html>Not found</html>",
        "clubs.csv": b"club,town\nA,Aton\n",
        "typos.csv": f"{HEADER}\n{HIB},2025,2025-04-12,A,B,x,0".encode(),
    }
    files = {name: Content(data, SEEN) for name, data in {**bad, "good.csv": good}.items()}
    parsed = parse_all(files, HIB, TableReader(ColumnSetting()))
    assert len(parsed.matches) == parsed.rows == 1
    assert [text.partition(":")[0].partition(" ")[0] for text in parsed.unusable] == list(bad)
    with pytest.raises(SourceError, match=r"typos\.csv: 1 of 1 rows rejected"):
        parse_all({name: files[name] for name in bad}, HIB, TableReader(ColumnSetting()))


def test_the_last_usable_content_stands_in_for_a_broken_file(tmp_path: Path) -> None:
    """It is told with its time, and the file is read again once it is mended."""
    folder, archive = tmp_path / "files", FileArchive(Lake(str(tmp_path / "lake")))
    folder.mkdir()
    rows = [f"{HIB},2025,2025-04-05,A,B,1,0", f"{HIB},2025,2025-04-12,B,A,2,2"]
    (folder / "other.csv").write_text(f"{HEADER}\n{HIB},2025,2025-04-19,A,C,1,1")
    seen = []
    for hour, content in enumerate(("\n".join([HEADER, rows[0]]), "<html></html>", "\n".join([HEADER, *rows]))):
        (folder / "mine.csv").write_text(content)
        clock = SEEN + timedelta(hours=hour)
        seen.append(parse_all(contents(folder, archive, clock, clock), HIB, TableReader(ColumnSetting())))
    assert [len(parsed.matches) for parsed in seen] == [2, 2, 3]
    assert [len(parsed.unusable) for parsed in seen] == [0, 1, 0]
    assert seen[1].unusable[0].startswith("mine.csv is a web page")
    assert seen[1].unusable[0].endswith(f"; the content of {SEEN:%Y-%m-%d %H:%M} is used")


def test_the_alias_table_may_lie_among_the_files(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(f"{HEADER}\n{HIB},2025,2025-04-05,A,B,1,0")
    (tmp_path / "aliases.csv").write_text("country,alias,canonical\nhib,A,Aton\n")
    settings = Settings(home=tmp_path / "home", source="files", files=tmp_path, aliases=tmp_path / "aliases.csv")
    result = load(settings, HIB)
    assert list(result.matches["home_team"]) == ["Aton"]
    assert result.report["unusable"] == []


def test_a_result_replaces_its_fixture_and_scores_may_not_differ() -> None:
    """Whichever row comes first. Further cells of a duplicate fill gaps; a contradiction tells both scores."""
    header = f"{HEADER},odds_home,odds_draw,odds_away"
    row = f"{HIB},2025,2025-04-05,A,B"
    for rows in ((f"{row},,,,,", f"{row},2,0,,,"), (f"{row},2,0,,,", f"{row},,,,,")):
        parsed = _read(*rows, header=header)
        assert list(parsed.matches["home_goals"]) == [2]
        assert len(parsed.defects) == 1
    parsed = _read(f"{row},2,0,,,", f"{row},2,0,2.0,3.5,4.0", f"{row},1,0,,,", header=header)
    assert list(parsed.matches["odds_draw"]) == [3.5]
    assert _reasons(parsed) == [(3, "duplicate of m.csv row 2"), (4, "1-0 contradicts 2-0 of m.csv row 2")]


def test_a_broken_row_among_other_leagues_is_one_rejected_row() -> None:
    other = f'{HEADER}\natl-island-league,2025,2025-04-05,A,B,1,0\nx,"y\n'
    files = {"o.csv": other, "m.csv": f"{HEADER}\n{HIB},2025,2025-04-05,A,B,1,0"}
    parsed = parse_all(
        {name: Content(text.encode(), SEEN) for name, text in files.items()}, HIB, TableReader(ColumnSetting())
    )
    assert (parsed.unusable, parsed.rows, parsed.other_rows) == ([], 2, 1)
    assert _reasons(parsed) == [(3, "a quote is opened and not closed")]


def test_leagues_in_different_layouts_are_read_together() -> None:
    """Each file has its own columns and constants; those of all files hold where a file has none of its own."""
    files = {
        "ARG.csv": "Country,League,Season,Date,Time,Home,Away,HG,AG\nArgentina,Primera,2024,02/08/2024,23:30,A,B,1,2",
        "cup/int.csv": "date,home_team,away_team,home_score,away_score\n2024-03-26,Wales,Poland,0,0",
        "hib-premier-2024.csv": "Day,Home,Away,HG,AG\n2024-09-05,A,B,1,0",
    }
    reader = TableReader(
        ColumnSetting.parse(
            {
                "competition": "=file",
                "season": "=year",
                "arg*.csv": {"competition": "=arg-superliga", "season": "Season"},
                "int.csv": {"competition": "=int-matches"},
                "hib-*": {"kick_off": "Day"},
                "hub-*": {"kick_off": "Tag"},
            }
        )
    )
    content = {name: Content(text.encode(), SEEN) for name, text in files.items()}
    by_league = {slug: parse_all(content, slug, reader) for slug in ("arg-superliga", "int-matches", HIB)}
    assert {slug: (len(parsed.matches), parsed.other_rows) for slug, parsed in by_league.items()} == dict.fromkeys(
        by_league, (1, 2)
    )
    assert all(parsed.matches["season"].tolist() == ["2024"] for parsed in by_league.values())
    (told,) = [note for note in by_league[HIB].notes if "no file" in note]
    assert "'hub-*'" in told


def test_a_constant_in_place_of_a_column_is_told() -> None:
    """The column may have been filled for a reason."""
    parsed = _read("my-cup,2024,2024-04-05,A,B,1,0", setting={"competition": f"={HIB}"})
    assert len(parsed.matches) == 1
    assert parsed.notes == [f"m.csv: competition is always {HIB}, whatever its column competition says"]


def test_a_content_is_read_once_for_all_its_competitions() -> None:
    """Seventeen competitions of one file would otherwise be read seventeen times."""
    reader, data = TableReader(ColumnSetting()), f"{HEADER}\n{HIB},2024-25,2024-09-05,A,B,1,0".encode()
    (first,), _ = reader.read("m.csv", data, SEEN)
    (again,), _ = reader.read("m.csv", bytes(bytearray(data)), SEEN + timedelta(days=1))
    (changed,), _ = reader.read("m.csv", data + b"\n", SEEN)
    assert again.by_competition is first.by_competition is not changed.by_competition
    assert (first.seen_at, again.seen_at) == (SEEN, SEEN + timedelta(days=1))
