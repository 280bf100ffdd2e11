"""openfootball documents with what other people's files hold: every entry is a match, or told with its row."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SourceError
from features.io.sources.cells import BadRowError
from features.io.sources.match_status import Standing, standing_of
from features.io.sources.openfootball import parse
from features.io.sources.source_result import Defect

Parsed = tuple[pd.DataFrame, list[Defect], int]

MATCH: dict[str, Any] = {
    "round": "Matchday 1",
    "date": "2025-08-15",
    "time": "20:00",
    "team1": "Liverpool FC",
    "team2": "AFC Bournemouth",
    "score": {"ht": [1, 0], "ft": [4, 2]},
}
OTHER = {**MATCH, "team1": "Arsenal FC", "team2": "Chelsea FC"}
BARE = {key: value for key, value in MATCH.items() if key != "score"}


def _raw(content: bytes) -> Parsed:
    return parse(content, "2025-26/en.1.json", "eng-premier-league", "2025-26", "Europe/London")[:3]


def _read(*matches: object) -> Parsed:
    return _raw(json.dumps({"name": "x", "matches": list(matches)}).encode())


@pytest.mark.parametrize(
    ("status", "state", "awarded"),
    [
        ("Finished", "played", False),
        ("AWARDED", "played", True),
        ("awarded; originally 2-0", "played", True),
        ("w/o", "played", True),
        (None, "played", False),
        ("suspended", "postponed", False),
        ("Interrupted", "postponed", False),
        ("POSTPONED", "postponed", False),
        ("in_play", "scheduled", False),
        ("Half-Time", "scheduled", False),
        ("scheduled", "scheduled", False),
    ],
)
def test_a_status_says_whether_the_score_counts(status: str | None, state: str, awarded: bool) -> None:
    """In any case; a score that is not final is ignored, and that is told with its row."""
    table, defects, _ = _read(OTHER, {**MATCH, "status": status})
    match = table.set_index("home_team").loc["Liverpool"]
    assert (match["status"], match["awarded"]) == (state, awarded)
    assert pd.isna(match["home_goals"]) == (state != "played")
    assert [(defect.row, defect.repaired) for defect in defects] == ([] if state == "played" else [(2, True)])


NEVER = ("annulled", "ABANDONED", "canceled", "Cancelled", "[abandoned at 1-1 in 65']", "void")


@pytest.mark.parametrize("status", NEVER)
def test_a_match_that_never_counts_is_left_out_and_told(status: str) -> None:
    """Neither a result nor a fixture; the file stays trusted, however many there are."""
    table, (defect,), _ = _read(OTHER, {**MATCH, "status": status})
    assert len(table) == 1
    assert (defect.row, defect.reason) == (2, f"the match was {status.casefold()}")
    assert len(_read(OTHER, *[{**MATCH, "status": status}] * 30)[0]) == 1


@pytest.mark.parametrize("status", ["replay", "under protest", "annulado", 3, ["awarded"], {"a": 1}, True])
def test_an_unknown_status_is_refused_by_row(status: object) -> None:
    """A word that may void the score is not passed over."""
    table, (defect,), _ = _read(OTHER, {**MATCH, "status": status})
    assert len(table) == 1
    assert (defect.row, defect.repaired) == (2, False)
    assert "is unknown" in defect.reason


@pytest.mark.parametrize(
    "change",
    [
        {"score": None},
        {"score": {}},
        {"score": []},
        {"score": {"ft": None}},
        {"score": {"ft": [None, None], "ht": [None, None]}},
        {"score1": None, "score2": None},
        {"score": {"ft": []}, "goals1": [], "goals2": []},
    ],
)
def test_an_empty_score_is_a_match_to_come(change: dict[str, Any]) -> None:
    """Every way to write nothing means the same."""
    table, defects, _ = _read({**BARE, **change})
    assert (table["status"].tolist(), defects) == (["scheduled"], [])


@pytest.mark.parametrize(
    "change",
    [
        {"score1": 2, "score2": 1},
        {"score": [2, 1]},
        {"score": {"ft": ["2", 1.0]}},
        {"score": {"ft": [2, 1]}, "score1": 2, "score2": 1},
        {"score": {"ft": [2, 1], "et": [3, 1], "p": []}},
        {"score1": 2, "score2": 1, "score1i": 0, "score2i": 0, "score1et": 3, "score2et": 1},
    ],
)
def test_scores_of_all_layouts_are_read(change: dict[str, Any]) -> None:
    """The goals after 90 minutes, wherever they stand."""
    table, defects, _ = _read({**BARE, **change})
    assert (table[["home_goals", "away_goals"]].to_numpy().tolist(), defects) == ([[2, 1]], [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"score": {"et": [2, 1], "p": [4, 3]}}, "no score after 90 minutes, only score.et, score.p"),
        ({"score": {"ht": [1, 0], "et": [2, 1]}}, "only score.ht, score.et"),
        ({"score": {"fulltime": [2, 1]}}, "only score.fulltime"),
        ({"goals1": [{"name": "Salah", "minute": 5}]}, "only goals1"),
        ({"score1et": 2, "score2et": 1}, "only score1et, score2et"),
        ({"score": {"ft": [2, None]}}, "None"),
        ({"score1": 2}, "None"),
        ({"score": {"ft": [2, 1]}, "score1": 3, "score2": 1}, "contradict"),
        ({"score": {"ft": [2, 1, 0]}}, "not two numbers"),
        ({"score": "2-1"}, "not two numbers"),
        ({"score": {"ft": {"home": 2}}}, "not two numbers"),
        ({"score": {"ft": [True, False]}}, "not a number"),
        ({"score": {"ft": [float("nan"), float("nan")]}}, "number"),
        ({"score": {"ft": [float("inf"), 0]}}, "number"),
        ({"score": {"ft": [-1, 0]}}, "whole number"),
        ({"score": {"ft": [1.5, 0]}}, "whole number"),
        ({"status": "awarded"}, "awarded, but there is no score"),
    ],
)
def test_another_score_is_refused_and_no_fixture(change: dict[str, Any], reason: str) -> None:
    """A match that was played, but whose 90 minutes are unknown, is told with its row."""
    table, (defect,), _ = _read(OTHER, {**BARE, **change})
    assert len(table) == 1
    assert (defect.row, defect.repaired) == (2, False)
    assert reason in defect.reason


def test_a_number_of_thousands_of_digits_refuses_its_match_only() -> None:
    """Python refuses to read such a number; the other matches of the document stay."""
    huge = json.dumps(MATCH).replace("[4, 2]", f"[{'9' * 5000}, 0]")
    table, (defect,), _ = _raw(f'{{"matches": [{json.dumps(OTHER)}, {huge}]}}'.encode())
    assert (len(table), defect.row) == (1, 2)
    assert "number" in defect.reason


@pytest.mark.parametrize("day", [None, "", "TBD", "?"])
def test_fixtures_without_a_day_are_told_and_results_kept(day: str | None) -> None:
    """They are no errors of the file, even if most matches have no day yet; a result without a day is one."""
    table, defects, _ = _read(MATCH, *[{**BARE, "date": day}] * 40)
    assert (len(table), len(defects)) == (1, 40)
    assert {defect.reason for defect in defects} == {"the match has no day yet"}
    _, (defect,), _ = _read(OTHER, {**MATCH, "date": day})
    assert defect.reason == "the match has a score but no day"


def test_the_older_layout_with_rounds_is_read() -> None:
    """Rounds with matches, clubs as objects, score1 and score2."""
    clubs = {"team1": {"key": "arsenal", "name": "Arsenal"}, "team2": {"key": "chelsea", "name": "Chelsea"}}
    played = {"date": "2025-08-15", **clubs, "score1": 2, "score2": 1}
    to_come = {"date": "2025-08-22", "team1": clubs["team2"], "team2": clubs["team1"], "score1": None, "score2": None}
    rounds = [{"name": "Matchday 1", "matches": [played]}, {"name": "Matchday 2", "matches": [to_come, 7]}]
    table, (defect,), rows = _raw(json.dumps({"name": "x", "rounds": rounds}).encode())
    assert table["status"].tolist() == ["played", "scheduled"]
    assert (table["matchday"].tolist(), table["home_goals"].iloc[0], rows) == ([1, 2], 2, 3)
    assert (defect.row, defect.reason) == (3, "the entry is not an object")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "not readable"),
        (b"<!DOCTYPE html>", "web page"),
        (b"[1]", "list"),
        (b"3", "int"),
        (b'{"clubs": []}', "neither `matches` nor `rounds`; it has clubs"),
        (b'{"matches": {}}', "`matches` is not a list"),
        (b'{"rounds": [3]}', "round 1 is not a list"),
        (b'{"rounds": [{"name": "x"}]}', "round 1 is not a list"),
        (b'{"matches": [1], "matches": []}', "`matches` stands twice"),
        (b'{"matches": []}', "no match yet"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"matches": [' + b'{"a":' * 100_000, "nested too deeply"),
        (b"\xff\xfe\x00", "not readable"),
        (b'{"matches": [{}', "not readable"),
    ],
)
def test_a_document_that_is_none_is_one_sentence(content: bytes, reason: str) -> None:
    """The error names the file and what it is instead."""
    with pytest.raises(SourceError, match=r"2025-26/en\.1\.json") as error:
        _raw(content)
    assert reason in str(error.value)


def test_a_key_that_stands_twice_refuses_its_match_only() -> None:
    """Of two different scores neither is believed; the same value twice is harmless."""
    good = json.dumps(OTHER)
    twice = json.dumps(MATCH)[:-1] + ', "score": {"ft": [0, 0]}}'
    nested = json.dumps(MATCH).replace('"ft": [4, 2]', '"ft": [4, 2], "ft": [4, 3]')
    same = json.dumps(MATCH)[:-1] + ', "time": "20:00"}'
    table, defects, _ = _raw(f'{{"matches": [{good}, {twice}, {nested}, {same}]}}'.encode())
    assert len(table) == 2
    assert [(defect.row, defect.reason) for defect in defects] == [
        (2, "'score' stands twice with different values"),
        (3, "'ft' stands twice with different values"),
    ]


@pytest.mark.parametrize("name", ["\ud800", "Arse\x00nal", 5, ["Arsenal FC"], {"name": 5}, True])
def test_a_name_that_is_none_is_refused_by_row(name: object) -> None:
    """Half characters and control characters cannot be published; other types are no names."""
    _, (defect,), _ = _read(OTHER, {**MATCH, "team1": name})
    assert (defect.row, defect.repaired) == (2, False)
    assert "is not a club's name" in defect.reason
    defect.reason.encode()
    defect.content.encode()


def test_a_round_of_a_year_is_no_matchday() -> None:
    """A number that no league reaches is not taken for a round."""
    table, _, _ = _read({**MATCH, "round": "Round 20251231235959"})
    assert table["matchday"].isna().all()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["round", "date", "time", "team1", "team2", "score", "status", "score1", "score2", "goals1"]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4), max_size=4))
def test_no_value_of_a_match_is_a_traceback(changes: list[dict[str, Any]]) -> None:
    """With any JSON in any field, each entry is accounted for: accepted, or told with its row."""
    table, defects, rows = _read(OTHER, *({**MATCH, **change} for change in changes))
    refused = {defect.row for defect in defects if not defect.repaired}
    assert rows == 1 + len(changes) == len(table) + len(refused)
    assert json.dumps([defect.content for defect in defects]).isascii()


@settings(deadline=None)
@given(ANYTHING | st.fixed_dictionaries({"matches": ANYTHING}) | st.fixed_dictionaries({"rounds": ANYTHING}))
def test_no_document_is_a_traceback(document: object) -> None:
    """Any JSON is an error of the source that names the file."""
    with pytest.raises(SourceError, match=r"en\.1\.json"):
        _raw(json.dumps(document).encode())


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_are_a_traceback(content: bytes) -> None:
    """Whatever a server sends."""
    with pytest.raises(SourceError, match=r"en\.1\.json"):
        _raw(content)


@settings(deadline=None)
@given(ANYTHING)
def test_every_status_has_a_standing_or_is_refused(status: object) -> None:
    """The list of statuses is closed."""
    with contextlib.suppress(BadRowError):
        assert standing_of(status) in Standing


def test_times_with_an_offset_are_read_and_others_told() -> None:
    """A time that is not readable leaves the day, and says so by row."""
    table, (defect,), _ = _read({**MATCH, "time": "20:00 UTC+3"}, {**OTHER, "time": "tea time"})
    exact = table.set_index("home_team")["kick_off_exact"].to_dict()
    assert exact == {"Liverpool": True, "Arsenal": False}
    assert table.set_index("home_team").loc["Liverpool", "kick_off"] == pd.Timestamp("2025-08-15T17:00Z")
    assert (defect.row, defect.repaired) == (2, True)
    assert defect.reason == "the time 'tea time' is not readable: only the day is used"
