"""Names of clubs in files: spellings, the user's alias table, and what is wrong with it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from features.competitions import COMPETITIONS
from features.errors import SourceError, UnknownTeamError
from features.io.settings import Settings
from features.io.sources import load
from features.io.sources.alike_names import similar_names
from features.io.sources.club_aliases import ClubAliases, load_aliases

ENGLAND = "eng-premier-league"
OWN = "hib-premier"


def _table(tmp_path: Path, content: str | bytes) -> ClubAliases:
    path = tmp_path / "aliases.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_aliases(path)


def _club(aliases: ClubAliases, name: str, competition: str = ENGLAND) -> str:
    return aliases.canonical(name, competition, "mine.csv row 2")


@pytest.mark.parametrize(
    "typed", ["Nott\u2019m Forest", "NOTTINGHAM FOREST", "nottm  forest", "Nottingham Forest F.C."]
)
def test_spellings_of_a_listed_club_are_read(typed: str) -> None:
    """Where all clubs are listed, apostrophes, case, blanks, accents and the words FC do not matter."""
    assert _club(load_aliases(), typed) == "Nottingham Forest"


def test_a_no_break_space_does_not_hide_a_club() -> None:
    """The alias with a no-break space is the alias."""
    assert _club(load_aliases(), "Man\u00a0City") == "Manchester City"


def test_suggestions_begin_with_the_club_of_the_nearest_alias() -> None:
    """A misspelt short name leads to its club, not to one with a similar long name."""
    with pytest.raises(UnknownTeamError, match="nearest known: Manchester City"):
        _club(load_aliases(), "Man Citty")


@pytest.mark.parametrize(("name", "competition"), [("Frankfurt", "ger-bundesliga"), ("Wimbledon FC", ENGLAND)])
def test_a_name_that_could_mean_two_clubs_is_refused(name: str, competition: str) -> None:
    """Words are left out only if no other club has all the others."""
    with pytest.raises(UnknownTeamError, match="nearest known"):
        _club(load_aliases(), name, competition)


def test_a_letter_of_another_script_is_named() -> None:
    """A name that looks like a known club says which letter is different."""
    with pytest.raises(UnknownTeamError, match="CYRILLIC CAPITAL LETTER A"):
        _club(load_aliases(), "\u0410rsenall")


@pytest.mark.parametrize("name", ["?", "\u200b", "-", "Bay\ufffdrn"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """A name without a letter, or with a lost one, is refused with its place also where any club is accepted."""
    with pytest.raises(UnknownTeamError, match=r"mine\.csv row 2"):
        _club(load_aliases(), name, OWN)


def test_names_of_unlisted_leagues_are_kept_in_one_form() -> None:
    """Where clubs are not listed, only the form of a name is changed, and accents still tell clubs apart."""
    aliases = load_aliases()
    assert {_club(aliases, name, OWN) for name in ("Sa\u0303o\u00a0Bento ", "São Bento")} == {"São Bento"}
    assert _club(aliases, "Sao Bento", OWN) == "Sao Bento"


def test_an_alias_of_an_alias_leads_to_the_club(tmp_path: Path) -> None:
    """Chains are followed, through the package's table too."""
    aliases = _table(tmp_path, "country,alias,canonical\neng,Man Utd FC,Red Devils\neng,Red Devils,Man United\n")
    assert _club(aliases, "Man Utd FC") == _club(aliases, "red devils") == "Manchester United"


def test_a_circle_of_aliases_is_refused(tmp_path: Path) -> None:
    """The message names the circle and its lines."""
    with pytest.raises(SourceError, match=r"circle: A = B = A \(lines 2, 3\)"):
        _table(tmp_path, "country,alias,canonical\nhib,A,B\nhib,B,A\n")


def test_a_user_may_rename_a_club(tmp_path: Path) -> None:
    """The package's rule back to the old name is not a circle."""
    aliases = _table(tmp_path, "country,alias,canonical\neng,Tottenham Hotspur,Spurs\n")
    assert {_club(aliases, name) for name in ("Spurs", "Tottenham", "Tottenham Hotspur")} == {"Spurs"}


@pytest.mark.parametrize(
    "content",
    [
        "country;alias;canonical\nhib;N.gate;São Bento\n",
        "\ufeffCountry , Alias,canonical,note\r\nHIB ,N.gate ,São Bento,mine\r\n\r\n",
        "alias\tcanonical\tcompetition\rN.gate\tSão Bento\thib-premier\r",
        "country;alias;canonical\nhib;N.gate;São Bento\n".encode("cp1252"),
        "country,alias,canonical\nhib,N.gate,São Bento\n".encode("utf-16"),
        "country,alias,canonical\nhib,N.gate,Sa\u0303o\u00a0Bento\nhib,N.gate,São Bento\n",
    ],
)
def test_common_forms_of_a_table_are_read(tmp_path: Path, content: str | bytes) -> None:
    """Separators, byte order marks, encodings, capitals, blanks, empty lines and further columns do not matter."""
    aliases = _table(tmp_path, content)
    assert _club(aliases, "N.gate", OWN) == _club(aliases, "n.gate", OWN) == "São Bento"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("land,alias,canonical\nhib,A,B\n", "no column country; it needs country, alias, canonical; it has land"),
        ("country,alias,canonical\nhib,A,B\nhib,,C\n", "no alias in line 3"),
        ("country,alias,canonical\nhib,A\n", "no canonical in line 2"),
        ("country,alias,canonical\nhib,Club, A,B\n", "4 cells in line 2"),
        ("country,alias,canonical\nhib,A,B\nhib,A,C\n", r"line 2 that 'A' is 'B', and in line 3 that it is 'C'"),
        ('country,alias,canonical\nhib,"A,B\n', "line 2"),
        ("", "is empty"),
        (b"PK\x03\x04\x00\x00\x08", "line 1 has a NUL character"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, content: str | bytes, message: str) -> None:
    """The message names the line and the value."""
    with pytest.raises(SourceError, match=message):
        _table(tmp_path, content)


def test_rules_that_do_nothing_or_add_a_club_are_reported(tmp_path: Path) -> None:
    """The report of a load says so, with the line."""
    (tmp_path / "aliases.csv").write_text(
        "country,alias,canonical\nengland,A,B\neng,Spurs,Tottenham Hotspur\neng,X,New Rovers\neng,Reds,Liverpool\n"
    )
    settings = Settings(home=tmp_path, aliases=tmp_path / "aliases.csv")
    unknown, known, added = load(settings, ENGLAND).report["aliases"]
    assert re.search(r"line 2 .*'england' is neither", unknown)
    assert re.search(r"line 3 .*known without", known)
    assert re.search(r"line 4 .*'New Rovers' is added", added)


def _variants(name: str) -> Iterator[str]:
    yield from (name.upper(), name.lower(), f"{name} FC", f"{name} F.C.", f"AFC {name}", f"  {name}\u00a0")
    yield from (name.replace("&", "and"), name.replace(" and ", " & "), name.replace("'", "\u2019"))
    yield re.sub(r"^(\w{0,2}FC|FC|AC|AS|US|CD|SV) | (A?FC|CF|SC|AC)$", "", name)
    yield name.encode("ascii", "ignore").decode() if "&" in name else fold_accents(name)


def fold_accents(name: str) -> str:
    import unicodedata

    return re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", name))


def test_variants_of_a_name_never_mean_another_club() -> None:
    """Each finds its club or is refused; nearly all find it."""
    aliases, found, refused = load_aliases(), 0, 0
    for country in sorted(aliases.whole):
        listed = aliases.aliases_in(country)
        for alias, club in listed.items():
            for variant in set(_variants(alias)) - {text for text, other in listed.items() if other != club}:
                try:
                    assert _club(aliases, variant, country) == club, variant
                    found += 1
                except UnknownTeamError:
                    refused += 1
    assert refused < 0.02 * found


CLUBS_OF_LOWER_LEAGUES = """
Hartlepool United;Bury FC;Carlisle United;Aldershot Town;York City;Forest Green Rovers;Morecambe FC;Torquay United;
Dagenham & Redbridge;Dagenham and Redbridge FC;Macclesfield Town FC;Sutton United FC;Salford City FC;Boston United;
MK Dons;Milton Keynes Dons FC;AFC Fylde;FC Halifax Town;Solihull Moors FC;Maidenhead United;Dorking Wanderers;
Ebbsfleet United;Kidderminster Harriers;King's Lynn Town;St Albans City;Hayes & Yeading United;Rushden & Diamonds;
Hereford United;Havant and Waterlooville FC;Grays Athletic;Farsley Celtic;North Ferriby United;Salisbury City;
Nuneaton Town;Northwich Victoria;Maidstone United;Crawley Town FC;Fleetwood Town FC;Stevenage F.C.;Newport County AFC
"""


@pytest.mark.parametrize("name", [name.strip() for name in CLUBS_OF_LOWER_LEAGUES.split(";")])
def test_clubs_of_the_lower_english_leagues_are_known(name: str) -> None:
    """Names with and without their endings, as other sources write them."""
    assert _club(load_aliases(), name, "eng-national-league")


def test_the_names_of_all_real_files_are_known(shared_data: Path) -> None:
    """Each club of each file of a listed country has a canonical name."""
    aliases, missing = load_aliases(), set()
    slugs = {code: league.slug for league in COMPETITIONS for code in (league.football_data, league.openfootball)}
    for path in sorted(shared_data.rglob("*.*")):
        code = path.stem.partition("_")[0] if path.suffix == ".csv" else path.stem
        if (slug := slugs.get(code)) is None or path.suffix not in (".csv", ".json"):
            continue
        for name in _names(path):
            try:
                aliases.canonical(name, slug, path.name)
            except UnknownTeamError as error:
                missing.add(str(error))
    assert not missing


def _names(path: Path) -> set[str]:
    if path.suffix == ".json":
        matches = json.loads(path.read_bytes())["matches"]
        teams = [match[side] for match in matches for side in ("team1", "team2")]
        return {team["name"] if isinstance(team, dict) else team for team in teams}
    rows = csv.DictReader(path.read_text(encoding="cp1252").splitlines())
    return {row[side] for row in rows for side in ("HomeTeam", "AwayTeam") if row.get(side)}


def test_the_most_alike_names_come_first() -> None:
    """Pairs that have met are not listed; the others are, the most similar ones first."""
    pairs = [
        ("São Bento", "Harbour"),
        ("Sao Bento", "Harbour"),
        ("North Town", "North Town B"),
        ("North Twn", "Harbour"),
    ]
    matches = pd.DataFrame(pairs, columns=["home_team", "away_team"])
    first, *others = similar_names(matches)
    assert set(first) == {"São Bento", "Sao Bento"}
    assert ("North Town", "North Twn") in others
    assert ("North Town", "North Town B") not in others
