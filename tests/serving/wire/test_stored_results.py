"""What the result store holds is told to clients only if it is a result of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import LeakageError, TouchlineError
from serving.errors import IncompatibleWorkerError, InvalidResultError, TaskFailedError
from serving.wire.stored_results import read_forecast, read_forecasts, read_stored

MODEL = {"name": "match-outcome", "version": 3, "trained_through": "2026-03-09T20:00:00Z"}
FORECASTS: dict[str, Any] = {
    "model": MODEL,
    "probabilities": "0.6,0.25,0.15,0.4,0.3,0.3",
    "variants": [["home", "2026-03-12T20:00:00Z"]],
    "variant_index": [0, 0],
    "errors": [],
}
ERROR = {"exc_type": "leakage-error", "exc_message": ["too late"], "exc_module": "features.errors"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def _read(document: Any) -> Any:
    return read_forecasts(read_stored(orjson.dumps(document)), 2)


def _success(**changes: Any) -> dict[str, Any]:
    return {"status": "SUCCESS", "result": {**FORECASTS, **changes}}


def test_forecasts_are_told_as_they_are_stored() -> None:
    """The texts of the probabilities are copied, so that no digit changes."""
    forecasts = _read(_success())
    assert forecasts.probabilities == [b"0.6", b"0.25", b"0.15", b"0.4", b"0.3", b"0.3"]
    assert b'"version":3' in forecasts.suffixes[0]


def test_the_probabilities_of_a_match_with_an_error_do_not_matter() -> None:
    """A worker leaves zeros in their place."""
    forecasts = _read(_success(probabilities="0,0,0,0.4,0.3,0.3", errors=[[0, ERROR]]))
    assert forecasts.errors == [(0, {"exc_type": "leakage-error", "exc_message": ["too late"]})]


@pytest.mark.parametrize(
    "changes",
    [
        {"probabilities": "0.6,0.25,0.15"},
        {"probabilities": "0.6,0.25,0.15,0.4,0.3,0.4"},
        {"probabilities": "0.6,0.25,0.15,1.4,-0.2,-0.2"},
        {"probabilities": "0.6,0.25,0.15,NaN,0.3,0.3"},
        {"probabilities": "0.6,0.25,0.15,0.4,0.3,true"},
        {"probabilities": '0.6,0.25,0.15,0.4,0.3,"0.3"'},
        {"probabilities": "0.6,0.25,0.15,0.4,0.3,0.3],[0.1"},
        {"probabilities": ["0.6"]},
        {"variants": [["home", "<script>"]]},
        {"variants": [["home", "2026-03-12T20:00:00"]]},
        {"variants": [["anybody", "2026-03-12T20:00:00Z"]]},
        {"variant_index": [0, 1]},
        {"variant_index": [0, -1]},
        {"variant_index": [0]},
        {"errors": [[2, ERROR]]},
        {"errors": [[1, ERROR], [0, ERROR]]},
        {"errors": [[0, "text"]]},
        {"errors": [[0, {"exc_type": 5}]]},
        {"model": {**MODEL, "version": "3"}},
        {"model": {**MODEL, "version": 3.5}},
        {"model": {**MODEL, "trained_through": "yesterday"}},
        {"model": None},
    ],
)
def test_what_is_no_forecast_is_an_error_with_its_cause(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidResultError, match=r"no forecast: ."):
        _read(_success(**changes))


@pytest.mark.parametrize(
    "document", [b"", b"\xff", b"5", b"{}", b'{"status":"STARTED"}', b"[" * 9000, b"x" * 9_000_000]
)
def test_what_is_no_result_is_an_error(document: bytes) -> None:
    with pytest.raises(InvalidResultError):
        read_forecasts(read_stored(document), 2)


def test_stored_errors_keep_their_class_and_text() -> None:
    """So do those that Celery itself stores."""
    with pytest.raises(LeakageError, match="too late"):
        _read({"status": "FAILURE", "result": ERROR})
    with pytest.raises(IncompatibleWorkerError):
        _read({"status": "FAILURE", "result": {"exc_type": "NotRegistered", "exc_message": ["a"]}})
    with pytest.raises(TaskFailedError):
        _read({"status": "FAILURE", "result": {"exc_type": "OSError", "exc_message": []}})
    with pytest.raises(InvalidResultError):
        _read({"status": "FAILURE", "result": None})


def test_a_single_forecast_is_checked_too() -> None:
    """It is the result of an asynchronous task."""
    forecast = {"probabilities": {"home": 0.6, "draw": 0.25, "away": 0.15}, "model": MODEL, "match_id": "m"}
    assert read_forecast(read_stored(orjson.dumps({"status": "SUCCESS", "result": forecast}))) == forecast
    for wrong in ({"home": 0.6, "draw": 0.25, "away": 0.25}, {"home": 2, "draw": -1, "away": 0}, "0.6", None):
        document = orjson.dumps({"status": "SUCCESS", "result": {**forecast, "probabilities": wrong}})
        with pytest.raises(InvalidResultError):
            read_forecast(read_stored(document))


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FORECASTS, ANYTHING)), ANYTHING)
def test_no_document_causes_another_kind_of_error(changes: dict[str, Any], result: Any) -> None:
    for document in (
        _success(**changes),
        {"status": "SUCCESS", "result": result},
        {"status": "FAILURE", "result": result},
    ):
        with suppress(TouchlineError):
            assert len(_read(document).probabilities) == 6
