"""Leagues whose seasons are all in one file: changing names, other leagues in the file, and their fixtures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.competitions import COMPETITIONS
from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources import load
from features.io.sources.football_data import NEW, parse_league_fixtures, parse_seasons
from features.io.sources.one_file_league import is_country_of, other_leagues, season_of_fixture, season_of_label

ONE_FILE = [league for league in COMPETITIONS if str(league.football_data).startswith(NEW)]
RESULTS = "Country,League,Season,Date,Time,Home,Away,HG,AG,Res,AvgCH,AvgCD,AvgCA"
FIXTURES = "Country,League,Date,Time,Home,Away,PSH,PSD,PSA,AvgH,AvgD,AvgA"


def _table(*rows: tuple[str, str]) -> pd.DataFrame:
    """A table of results with season and kick-off."""
    table = pd.DataFrame(rows, columns=["season", "kick_off"])
    return table.assign(kick_off=pd.to_datetime(table["kick_off"], utc=True))


def test_all_sixteen_leagues_are_in_the_catalogue() -> None:
    """Each with a slug of its country, a time zone that exists, and the name that the files give the country."""
    codes = "ARG AUT BRA CHN DNK FIN IRL JPN MEX NOR POL ROU RUS SWE SWZ USA"
    assert sorted(str(league.football_data) for league in ONE_FILE) == [f"{NEW}{code}" for code in codes.split()]
    for league in ONE_FILE:
        assert league.slug.startswith(f"{league.country}-")
        assert ZoneInfo(league.timezone)
    countries = "Argentina Austria Brazil China Denmark Finland Ireland Japan Mexico Norway Poland Romania Russia"
    named = [*countries.split(), "Sweden", "Switzerland", "USA"]
    for league, country in zip(sorted(ONE_FILE, key=lambda league: str(league.football_data)), named, strict=True):
        assert [name for name in named if is_country_of(league.slug, name)] == [country]
    assert not is_country_of("eng-premier-league", "")


def test_a_league_that_changes_its_name_stays_one_league() -> None:
    """A name that is alone in its season is meant, known or not, however it is written."""
    rows = [("2019-20", "Superliga"), ("2021", "Liga Profesional"), ("2021", "liga  profesional"), ("2030", "Sponsor")]
    assert other_leagues("arg-primera-division", rows) == set()


def test_of_two_leagues_in_a_season_the_catalogued_one_is_read() -> None:
    """The rows of the other one are told, and are no errors of the file; without a known name, most rows decide."""
    rows = [
        *[
            f"Switzerland,Super League,2024/2025,{day:02d}/08/2024,19:00,Basel,Club {day},1,0,H,,,"
            for day in range(1, 9)
        ],
        "Switzerland,Challenge League,2024/2025,30/05/2025,19:00,Aarau,Vaduz,1,0,H,,,",
    ]
    content = "\n".join([RESULTS, *rows]).encode()
    table, (defect,), count, _ = parse_seasons(content, "new/SWZ.csv", "sui-super-league", [2024])
    assert (len(table), count) == (8, 9)
    assert (defect.row, defect.reason) == (10, "Challenge League is another league than sui-super-league")
    rows_of_unknown = [("2030", "New"), ("2030", "New"), ("2030", "Cup")]
    assert other_leagues("arg-primera-division", rows_of_unknown) == {("2030", "Cup")}


@pytest.mark.parametrize(
    ("label", "season"),
    [
        ("2024", "2024"),
        ("2024/2025", "2024-25"),
        ("1999/2000", "1999-00"),
        ("2024/2026", None),
        ("", None),
        ("9999", None),
    ],
)
def test_a_label_of_a_season_is_read_or_refused(label: str, season: str | None) -> None:
    """Two years must follow each other."""
    assert season_of_label(label) == season


@pytest.mark.parametrize(
    ("last", "day", "season"),
    [
        (("2026", "2026-06-01"), "2026-06-07", "2026"),
        (("2026", "2026-06-01"), "2026-08-30", "2026"),  # a break for a World Cup
        (("2026", "2026-12-06"), "2027-02-20", "2027"),
        (("2020", "2021-01-03"), "2021-01-06", "2020"),  # a season that runs into the next year
        (("2025-26", "2025-12-14"), "2026-02-20", "2025-26"),  # the winter break
        (("2025-26", "2026-05-24"), "2026-07-18", "2026-27"),
        (("2019-20", "2020-07-26"), "2020-08-02", "2019-20"),
        (("2025-26", "2026-05-10"), "2026-06-27", "2026-27"),
        (("2025", "2025-05-10"), "9999-06-27", "2025"),
    ],
)
def test_the_season_of_a_fixture_follows_from_results(last: tuple[str, str], day: str, season: str) -> None:
    """By the calendar of the league, and by the pause between two seasons."""
    assert season_of_fixture(date.fromisoformat(day), _table(("2010", "2010-03-01"), last)) == season


def test_fixtures_are_those_of_the_league_with_their_odds() -> None:
    """Other countries are passed over, another league of the country is told, a bad row is refused by its line."""
    seen, results = datetime(2026, 6, 5, tzinfo=UTC), _table(("2026", "2026-06-01"))
    rows = [
        "Brazil ,Serie A ,07/06/2026,20:00,Palmeiras,Santos,,,,1.75,3.86,5.25",
        "Poland,Ekstraklasa,07/06/2026,20:00,Legia,Lech,,,,1.75,3.86,5.25",
        "Brazil,Serie B,07/06/2026,20:00,Ceara,Sport,,,,1.75,3.86,5.25",
        "Brazil,Serie A,37/06/2026,20:00,Santos,Bahia,,,,1.75,3.86,5.25",
    ]
    content = "\n".join([FIXTURES, *rows]).encode()
    table, defects, count, _ = parse_league_fixtures(content, "f.csv", "bra-serie-a", results, fetched_at=seen)
    (match,) = table.itertuples()
    assert (match.match_id, match.status, count) == ("bra-serie-a-2026-palmeiras-santos", "scheduled", 3)
    assert (match.kick_off.isoformat(), match.odds_home) == ("2026-06-07T19:00:00+00:00", 1.75)
    assert match.odds_known_at == seen
    assert [defect.row for defect in defects] == [4, 5]
    assert parse_league_fixtures(content, "f.csv", "swe-allsvenskan", results)[0].empty
    with pytest.raises(SourceError, match="no column Date"):
        parse_league_fixtures(b"a,b\n1,2", "f.csv", "bra-serie-a", results)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.text(max_size=8) | st.sampled_from(["Brazil", "07/06/2026", "31/12/9999"]), max_size=8)))
def test_no_row_of_a_fixtures_file_is_a_traceback(rows: list[list[str]]) -> None:
    """Whatever the cells hold, the file is read or refused in one sentence."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text).writerows([["Country", "Season", "Date", "Home", "Away", "Time"], *rows])
    try:
        parse_league_fixtures(text.getvalue().encode(), "f.csv", "bra-serie-a", _table(("2026", "2026-06-01")))
    except SourceError as error:
        assert "f.csv" in str(error)  # noqa: PT017 - most contents are readable


@pytest.mark.medium
def test_a_running_season_has_matches_to_come(site: Any, tmp_path: Path) -> None:
    """Results and fixtures come from two files; without the second one, that is told; a result replaces a fixture."""
    today = datetime.now(UTC)
    day, next_day = (f"{today + timedelta(days=days):%d/%m/%Y}" for days in (-3, 3))
    played = f"Brazil,Serie A,{today - timedelta(days=3):%Y},{day},20:00,Santos,Bahia,1,0,H,,,"
    ahead = [
        f"Brazil,Serie A,{date},20:00,{clubs},,,,2,3,4"
        for date, clubs in ((next_day, "Bahia,Santos"), (day, "Santos,Bahia"))
    ]
    site.files["/new/BRA.csv"] = "\n".join([RESULTS, played]).encode()
    options = Settings(source="football_data", football_data_url=site.url, home=tmp_path, first_season=today.year - 1)
    first = load(options, "bra-serie-a")
    assert first.report["missing"] == [f"{site.url}/new_league_fixtures.csv"]
    site.files["/new_league_fixtures.csv"] = "\n".join([FIXTURES, *ahead]).encode()
    result = load(options, "bra-serie-a")
    assert result.matches["status"].tolist() == ["played", "scheduled"]
    assert result.matches["odds_home"].notna().sum() == 1
    assert (result.report["missing"], result.report["files"], result.report["rows"]) == ([], 2, 3)
    site.files["/new/BRA.csv"] = b"<html>"
    again = load(options, "bra-serie-a")
    assert again.matches["status"].tolist() == ["played", "scheduled"]
    assert len(again.report["unusable"]) == 1
