"""What a process of the service logs about its settings when it starts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from serving.telemetry.logging import configure_logging


@pytest.fixture
def _logging_of_the_tests() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_of_the_tests")
def test_a_setting_that_would_be_ignored_is_the_first_thing_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOUCHLINE_SHED_ABOVE_WAIT", "3")
    monkeypatch.setenv("TOUCHLINE_SHED_ABOVE_WAIT_SECONDS", "3")
    configure_logging("INFO")
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["level"]) == ("setting.ignored", "warning")
    assert line["reason"].startswith(
        "unknown setting TOUCHLINE_SHED_ABOVE_WAIT; did you mean TOUCHLINE_SHED_ABOVE_WAIT_SECONDS"
    )
