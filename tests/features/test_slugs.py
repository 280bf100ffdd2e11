"""Slugs of clubs: readable, and different for different clubs."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.io.sources.club_aliases import load_aliases
from features.matches import build_match_id, is_id_of, parse_match_id, with_match_ids
from features.slugs import club_slugs, slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Widzew Łódź", "widzew-lodz"),
        ("Kasımpaşa", "kasimpasa"),
        ("Østers Ægir Þór Đakovo", "osters-aegir-thor-dakovo"),
        ("Спартак Москва", "spartak-moskva"),
        ("Ολυμπιακός", "olympiakos"),
        ("الأهلي", "alahly"),
        ("전북 현대", "jeonbug-hyeondae"),
        ("ガンバ大阪", "ganba-5927-962a"),
        ("O\u2019Higgins", "ohiggins"),
        ("O\u00b4Higgins", "ohiggins"),
        ("Col·legi", "collegi"),
    ],
)
def test_slugs_of_any_script_are_readable(name: str, expected: str) -> None:
    """Letters become the Latin ones that sound like them; ideographs become their code points."""
    assert slug(name) == expected


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=8, unique=True))
def test_two_clubs_never_share_a_slug(names: list[str]) -> None:
    """Whatever the names, slugs are ASCII, never empty, differ, and a club that joins later changes none."""
    slugs = club_slugs(names)
    assert len(set(slugs.values())) == len(names)
    assert all(text and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for text in slugs.values())
    assert {name: slugs[name] for name in names[:-1]} == club_slugs(names[:-1])


def test_ids_of_clubs_in_other_scripts_differ() -> None:
    """Each pair has its own id, and the id can be taken apart."""
    clubs = ["鹿島", "浦和", "川崎"]
    matches = pd.DataFrame(
        [
            {"competition": "jpn-j1", "season": "2025", "kick_off": day, "home_team": home, "away_team": away}
            for day, (home, away) in enumerate([(a, b) for a in clubs for b in clubs if a != b])
        ]
    )
    ids = with_match_ids(matches)["match_id"]
    assert ids.is_unique
    assert all(parse_match_id(match_id).season == "2025" for match_id in ids)


def test_almost_equal_clubs_of_one_league_have_two_ids() -> None:
    """The club that came second has a digest in its id; its matches are found by it."""
    row = {"competition": "hib-premier", "season": "2025", "away_team": "Harbour"}
    matches = with_match_ids(
        pd.DataFrame([{**row, "kick_off": 1, "home_team": "Südheim"}, {**row, "kick_off": 2, "home_team": "Sudheim"}])
    )
    first, second = matches["match_id"]
    assert first == "hib-premier-2025-sudheim-harbour"
    assert second != first
    assert is_id_of(second, "hib-premier", "2025", "Sudheim", "Harbour")


@pytest.mark.parametrize("earlier", ["pol-liga-2025-26-widzew-odz-legia", "pol-liga-2025-26-widzew-odz-legia-2"])
def test_ids_of_earlier_versions_are_recognised(earlier: str) -> None:
    """Earlier versions dropped letters such as ł; a lake keeps those ids."""
    assert is_id_of(earlier, "pol-liga", "2025-26", "Widzew Łódź", "Legia")
    assert not is_id_of(earlier, "pol-liga", "2025-26", "Widzew Łódź", "Lech")


def test_ids_of_listed_clubs_have_not_changed() -> None:
    """The slug of every club in the package is what it was before other scripts had slugs."""
    clubs = {club for table in load_aliases().tables.values() for club in table.values()}
    for club in clubs:
        plain = build_match_id("eng-premier-league", "2025-26", club, "x")
        assert is_id_of(plain, "eng-premier-league", "2025-26", club, "x")
    assert slug("1. FC Köln") == "1-fc-koln"
    assert slug("Preußen Münster") == "preussen-munster"
    assert slug("SpVgg Greuther Fürth") == "spvgg-greuther-furth"
