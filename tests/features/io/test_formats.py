"""Formats and rulings that a person enters."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from features.io.formats import load_formats
from features.io.rulings import load_rulings
from features.io.sources.club_aliases import load_aliases
from features.league_rules import rules_of
from features.rulings import DECISIONS, rulings_of
from features.table_rules import Tiebreaker

HEADER = "competition,season,club,points,decided,reason\n"
GOOD = "eng-championship,2021-22,Reading,-6,2021-11-17,accounts\n"


def test_a_format_gives_the_rules_of_a_table(tmp_path: Path) -> None:
    """JSON in the setting and JSON in a file mean the same, and take precedence over listed rules."""
    text = json.dumps(
        {
            "atl-island-league": {"meetings": 2, "up": 1, "up_play_off": 2, "points_for_win": 2, "ties": ["wins"]},
            "sco-premiership": {"down": 1, "split": {"after": 22, "groups": [{"clubs": 4, "share": 0.5}, {}]}},
        }
    )
    (tmp_path / "formats.json").write_text(text)
    formats = load_formats(text)
    assert formats == load_formats(str(tmp_path / "formats.json"))
    island = rules_of("atl-island-league", "2025", formats)
    assert (island.meetings, island.points_for_win, island.ties) == (2, 2, (Tiebreaker.WINS,))
    assert [(zone.name, zone.first, zone.last) for zone in island.places] == [
        ("Title", 1, 1),
        ("Promotion", 1, 1),
        ("Promotion play-off", 2, 3),
    ]
    split = rules_of("sco-premiership", "2025-26", formats).split
    assert split is not None
    assert (split.after, split.groups[0].share) == (22, 0.5)
    assert load_formats(None) == load_formats(" ") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TOUCHLINE_FORMATS is not JSON"),
        ('{"Island": {}}', "competition 'Island' is not a slug"),
        ('{"atl-island-league": {"meetings": 9}}', r"atl-island-league\.meetings=9"),
        ('{"atl-island-league": {"relegated": 2}}', r"atl-island-league\.relegated=2: Extra inputs"),
        ('{"atl-island-league": {"ties": ["lots"]}}', r"atl-island-league\.ties\.0='lots'"),
        ('{"atl-island-league": {"meetings": 1, "split": {"after": 2, "groups": [{}, {}]}}}', "`meetings` or `split`"),
        ("/nowhere/formats.json", "the formats /nowhere/formats.json cannot be read"),
    ],
)
def test_a_format_that_cannot_be_used_says_why(text: str, message: str) -> None:
    """The message names the competition, the field and the value."""
    with pytest.raises(InvalidInputError, match=message):
        load_formats(text)


@settings(deadline=None)
@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_no_format_stops_with_anything_but_its_error(text: str) -> None:
    """Any text is read or refused by name."""
    with suppress(InvalidInputError):
        load_formats("{" + text if not text.startswith("{") else text)


def test_rulings_are_read_and_replace_the_listed_ones(tmp_path: Path) -> None:
    """A deduction of a club replaces the listed ones of the same club and season; the others stay."""
    path = tmp_path / "rulings.csv"
    path.write_text("\ufeff" + HEADER + GOOD.replace("-6", "-5") + "\n")
    own = load_rulings(path)
    assert [(ruling.club, ruling.points, ruling.reason) for ruling in own] == [("Reading", -5, "accounts")]
    late, early = (own[0].decided.replace(year=year) for year in (2022, 2020))
    sums = {ruling.club: ruling.points for ruling in rulings_of("eng-championship", "2021-22", late, own)}
    assert sums == {"Derby County": -9, "Reading": -5}
    assert rulings_of("eng-championship", "2021-22", early, own) == ()
    assert load_rulings(None) == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GOOD.replace("-6", "six"), "row 3: points 'six' is not a whole number such as -6"),
        (GOOD.replace("-6", "-6.5"), "row 3: points '-6.5'"),
        (GOOD.replace("-6", "0"), "row 3: points '0'"),
        (GOOD.replace("2021-11-17", "17/13/2021"), "row 3: date '17/13/2021' is in no calendar"),
        (GOOD.replace("2021-22", "2021-24"), "row 3: season '2021-24'"),
        (GOOD.replace("eng-championship", "Championship"), "row 3: competition 'Championship' is not a slug"),
        (GOOD.replace("Reading", ""), "row 3: the club is missing"),
        (GOOD.replace("Reading", "Readin"), "row 3: .*'Readin'"),
    ],
)
def test_a_ruling_that_cannot_be_used_names_its_row(row: str, message: str, tmp_path: Path) -> None:
    """Each bad row is named as an editor counts lines."""
    path = tmp_path / "rulings.csv"
    path.write_text(HEADER + GOOD + row)
    with pytest.raises(InvalidInputError, match=message):
        load_rulings(path)


def test_rulings_without_a_column_are_refused(tmp_path: Path) -> None:
    """The message says which columns are missing and which are there."""
    path = tmp_path / "rulings.csv"
    path.write_text("league;season;team;points;day\n")
    with pytest.raises(InvalidInputError, match="have no column competition, club, decided; they have league, season"):
        load_rulings(path)


def test_listed_rulings_name_clubs_as_the_tables_do() -> None:
    """A deduction with a misspelt club would count for nobody."""
    for (competition, _), decisions in DECISIONS.items():
        for club, points, _ in decisions:
            assert load_aliases().canonical(club, competition, "rulings") == club
            assert points


def test_rulings_are_read_as_matches_are(tmp_path: Path) -> None:
    """Delimiter, encoding, season and day in any form that the user's matches may have."""
    path = tmp_path / "rulings.csv"
    path.write_bytes("competition;season;club;points;decided\ncro-hnl;2021/22;Šibenik;-6;17/11/2021\n".encode("cp1252"))
    (ruling,) = load_rulings(path)
    assert (ruling.season, ruling.club, ruling.decided) == ("2021-22", "Šibenik", datetime(2021, 11, 17, tzinfo=UTC))
