"""Settings: the commands that start processes know all of them by name."""

from __future__ import annotations

from pkgutil import resolve_name

import pytest

from features.io.setting_names import SETTINGS_CLASSES, unknown_variables
from features.io.settings import Settings
from orchestration.local.cli import main
from orchestration.local.services import LocalSettings
from orchestration.settings import PipelineSettings
from serving.settings import ServingSettings
from ui.settings import UiSettings


def test_the_settings_of_every_process_are_known_by_name() -> None:
    own = {Settings: set(Settings.model_fields)}
    for kind in (PipelineSettings, LocalSettings, ServingSettings, UiSettings):
        own[kind] = set(kind.model_fields) - own[Settings]
    assert {resolve_name(name): fields for name, fields in SETTINGS_CLASSES.items()} == own


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AS_OF", "tomorrow", "Input should be a valid datetime or date, input is too short"),
        ("FILES_COLUMNS", "Home", "expected JSON"),
        ("FEATURES", "shot", "expected goals, shots, market, goals+odds, shots+odds or market+odds"),
        ("PROMOTION_POLICY", "never", "expected manual or auto"),
        ("RECIPES", "acme.models", "Value error, expected package.module:factory, got 'acme.models'"),
        ("API_PORT", "abc", "Input should be a valid integer, unable to parse string as an integer"),
        ("SYNC_TIMEOUT_SECONDS", "0", "Input should be greater than 0"),
        ("PREDICT_TIMEOUT_SECONDS", "long", "Input should be a valid number, unable to parse string as a number"),
    ],
)
def test_a_value_that_any_process_would_refuse_stops_every_command_before_it_begins(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"TOUCHLINE_{name}", value)
    for command in ("up", "advance", "inspect"):
        assert main([command]) == 2
        assert capsys.readouterr().out == f"touchline: setting TOUCHLINE_{name}={value!r}: {expected}\n"


@pytest.mark.parametrize("name", ["BROKER_URL", "RESULT_BACKEND_URL"])
def test_an_address_that_cannot_be_used_stops_every_command_with_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"TOUCHLINE_{name}", "redis://:secret@store:word")
    for command in ("up", "advance", "inspect"):
        assert main([command]) == 2
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"touchline: setting TOUCHLINE_{name}: the port must be a number from 1 to 65535")
        assert "secret" not in line


@pytest.mark.parametrize(
    ("mistaken", "meant"),
    [
        ("TOUCHLINE_APIPORT", "TOUCHLINE_API_PORT"),
        ("TOUCHLINE_PROMOTION", "TOUCHLINE_PROMOTION_POLICY"),
        ("TOUCHLINE_COMPETITION", "TOUCHLINE_COMPETITIONS"),
        ("TOUCHLINE_ASOF", "TOUCHLINE_AS_OF"),
    ],
)
def test_a_misspelt_setting_stops_the_command_and_the_one_that_was_meant_is_named(
    mistaken: str, meant: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(mistaken, "1")
    for command in ("up", "advance", "inspect"):
        assert main([command]) == 2
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"touchline: unknown setting {mistaken}; did you mean {meant}")


def test_what_is_a_setting_or_somebody_elses_is_nobodys_mistake() -> None:
    assert unknown_variables(["TOUCHLINE_HOME", "TOUCHLINE_OTLP_ENDPOINT", "PATH", "OTEL_EXPORTER_OTLP_ENDPOINT"]) == []
