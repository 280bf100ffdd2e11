"""openfootball files with the peculiarities of real ones."""

import json
from pathlib import Path

import pandas as pd
import pytest

from features.competitions import COMPETITIONS
from features.errors import SourceError
from features.io.sources.openfootball import parse

MATCH = {
    "round": "Matchday 1",
    "date": "2025-08-15",
    "time": "20:00",
    "team1": "Liverpool FC",
    "team2": "AFC Bournemouth",
    "score": {"ht": [1, 0], "ft": [4, 2]},
}


def _read(*matches: dict, season: str = "2025-26"):
    content = json.dumps({"name": "x", "matches": list(matches)}).encode()
    return parse(content, f"{season}/en.1.json", "eng-premier-league", season, "Europe/London")[:3]


def test_a_result_has_its_clubs_without_suffix_and_its_kick_off_in_utc() -> None:
    (match,) = _read(MATCH)[0].itertuples()
    assert match.match_id == "eng-premier-league-2025-26-liverpool-afc-bournemouth"
    assert match.kick_off.isoformat() == "2025-08-15T19:00:00+00:00"
    assert (match.home_goals, match.away_goals, match.matchday, match.status) == (4, 2, 1, "played")


def test_a_final_is_neutral_unless_it_has_two_legs() -> None:
    """The one final of a play-off is at neither club's ground; two legs are played at home."""
    other = MATCH | {"team1": "AFC Bournemouth", "team2": "Liverpool FC", "date": "2025-08-22"}
    final, leg = MATCH | {"round": "Final"}, other | {"round": "Final"}
    assert _read(other, final)[0]["neutral"].tolist() == [True, False]
    assert _read(final, leg)[0]["neutral"].tolist() == [False, False]


def test_without_a_score_it_is_a_fixture_and_without_a_time_only_the_day_is_known() -> None:
    (match,) = _read({**MATCH, "score": {}, "time": ""})[0].itertuples()
    assert (match.status, match.kick_off_exact) == ("scheduled", False)


@pytest.mark.parametrize(
    ("change", "status"), [({"status": "postponed", "score": {}}, "postponed"), ({"status": "awarded"}, "played")]
)
def test_postponed_and_awarded_matches_say_so(change: dict, status: str) -> None:
    (match,) = _read({**MATCH, **change})[0].itertuples()
    assert match.status == status
    assert match.awarded == (change["status"] == "awarded")


@pytest.mark.parametrize("status", ["cancelled", "abandoned"])
def test_what_was_not_played_to_its_end_is_refused(status: str) -> None:
    _, (defect,), _ = _read(MATCH, {**MATCH, "team2": "Arsenal FC", "status": status})
    assert (defect.row, defect.reason) == (2, f"the match was {status}")


def test_a_late_round_dated_before_the_season_is_moved_a_year_on() -> None:
    late = {**MATCH, "team2": "Arsenal FC", "round": "Matchday 35", "date": "2025-07-26"}
    table, (defect,), _ = _read(MATCH, late)
    assert defect.repaired
    assert table["kick_off"].max().year == 2026


@pytest.mark.parametrize("broken", [b"[]", b"{", b'{"matches": 3}', b'{"matches": [1]}'])
def test_what_is_no_document_with_matches_fails_the_file(broken: bytes) -> None:
    with pytest.raises(SourceError, match=r"x\.json"):
        parse(broken, "x.json", "eng-premier-league", "2025-26", "Europe/London")


def _real(folder: Path, name: str):
    competition = next(entry for entry in COMPETITIONS if entry.openfootball == Path(name).stem)
    content = (folder / "openfootball" / name).read_bytes()
    return parse(content, name, competition.slug, name[:7], competition.timezone)[:3]


@pytest.mark.shared
def test_the_66_matches_of_july_2020_are_not_read_as_july_2019(shared_data: Path) -> None:
    table, defects, _ = _real(shared_data, "2019-20/en.1.json")
    assert sum(defect.repaired for defect in defects) == 66
    assert len(table) == 380
    assert table["kick_off"].min() >= pd.Timestamp("2019-08-01", tz="UTC")


@pytest.mark.shared
def test_the_276_matches_a_year_early_are_moved_and_the_12_duplicates_refused(shared_data: Path) -> None:
    table, defects, _ = _real(shared_data, "2025-26/en.3.json")
    assert sum(defect.repaired for defect in defects) == len(defects) == 276
    assert len(table) == 552, "all there, with AFC Wimbledon's away matches from the four rows that name only AFC"
    assert table["kick_off"].min() >= pd.Timestamp("2025-07-25", tz="UTC")
    table, defects, _ = _real(shared_data, "2025-26/en.4.json")
    assert sum("duplicate of row" in defect.reason for defect in defects) == 12


@pytest.mark.shared
@pytest.mark.slow
def test_all_leagues_of_the_catalogue_are_read_and_every_club_is_known(shared_data: Path) -> None:
    names = {competition.openfootball for competition in COMPETITIONS}
    refused = []
    for path in sorted((shared_data / "openfootball").glob("20*/*.json")):
        if path.stem in names:
            _, defects, _ = _real(shared_data, f"{path.parent.name}/{path.name}")
            refused += [(path, defect.row, defect.reason) for defect in defects if not defect.repaired]
    known_reasons = ("cancelled", "duplicate of row")
    assert [rejection for rejection in refused if not any(reason in rejection[2] for reason in known_reasons)] == []
