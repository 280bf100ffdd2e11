"""What a process of the service logs about its settings when it starts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from serving.settings import ServingSettings, read_settings
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://app.example", ("https://app.example",)),
        (
            " https://App.example/ , http://localhost:3000,http://[::1]:8080 ",
            ("https://app.example", "http://localhost:3000", "http://[::1]:8080"),
        ),
    ],
)
def test_origins_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TOUCHLINE_CORS_ORIGINS", value)
    assert ServingSettings().cors_origins == expected


@pytest.mark.parametrize(
    "value",
    ['["https://app.example"]', "app.example", "https://app.example/page", "https://a.example https://b.example"],
)
def test_what_no_browser_sends_as_an_origin_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TOUCHLINE_CORS_ORIGINS", value)
    with pytest.raises(SystemExit, match=r"TOUCHLINE_CORS_ORIGINS.*separated by commas, such as https://"):
        read_settings()


def test_a_root_path_is_kept_in_one_form(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("", ""), ("/", ""), ("/touchline/", "/touchline"), ("/a/b-1.0", "/a/b-1.0")):
        monkeypatch.setenv("TOUCHLINE_API_ROOT_PATH", value)
        assert ServingSettings().api_root_path == expected
    for value in ("touchline", "https://x.example/touchline", "/a//b", "/a?b", "/a b"):
        monkeypatch.setenv("TOUCHLINE_API_ROOT_PATH", value)
        with pytest.raises(SystemExit, match=r"TOUCHLINE_API_ROOT_PATH.*begins with /"):
            read_settings()
