"""Variables that were renamed stop a process instead of being ignored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.errors import InvalidInputError
from features.io.setting_names import KNOWN_FIELDS, RENAMED_FIELDS, renamed_variables, unknown_variables
from features.io.settings import Settings, apply_defaults, is_set, use_home_for_compiled_code

OLD, NEW = "TOUCHLINE_SYNC_TIMEOUT", "TOUCHLINE_SYNC_TIMEOUT_SECONDS"


def test_a_renamed_variable_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for variables that the process does not read, too. The message names the new variable."""
    monkeypatch.setenv(OLD, "20")
    with pytest.raises(InvalidInputError, match=f"^setting {OLD} was renamed; set {NEW} instead$"):
        Settings()


def test_a_renamed_variable_is_reported_once() -> None:
    """It is not reported again as unknown."""
    expected = [f"setting {OLD} was renamed; set {NEW} instead"]
    assert renamed_variables([NEW, OLD]) == unknown_variables([NEW, OLD]) == expected


def test_renamed_fields_lead_to_fields_that_exist() -> None:
    """No field has an old name."""
    assert set(RENAMED_FIELDS.values()) <= KNOWN_FIELDS
    assert not RENAMED_FIELDS.keys() & KNOWN_FIELDS


def test_defaults_of_another_process_yield_to_own_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only TOUCHLINE_ variables are copied."""
    monkeypatch.setenv("TOUCHLINE_SEED", "1")
    monkeypatch.setenv("TOUCHLINE_SOURCE", "bundled")  # restored after the test, like what apply_defaults sets
    monkeypatch.delenv("TOUCHLINE_SOURCE")
    apply_defaults({"TOUCHLINE_SEED": "2", "TOUCHLINE_SOURCE": "files", "OTHER_NAME": "3"})
    assert (Settings().seed, Settings().source) == (1, "files")
    assert is_set(["source"]) and not is_set(["absent"])


@pytest.mark.parametrize("writable", [True, False])
def test_compiled_code_goes_to_the_home_if_the_checkout_is_read_only(
    writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that monkeypatch restores it
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(os, "access", lambda *_: writable)
    use_home_for_compiled_code(tmp_path)
    assert os.environ.get("NUMBA_CACHE_DIR") == (None if writable else str(tmp_path / "numba"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "chosen")
    use_home_for_compiled_code(tmp_path)
    assert os.environ["NUMBA_CACHE_DIR"] == "chosen"
