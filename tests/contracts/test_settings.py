"""Settings: all of them are known by name to whoever starts the processes."""

from __future__ import annotations

import pytest

from features.io.settings import ALL, Settings, unknown
from orchestration.cli import main
from orchestration.local import LocalSettings
from orchestration.settings import PipelineSettings
from serving.settings import ServingSettings
from ui.settings import UiSettings


def test_the_settings_of_every_process_are_known_by_name() -> None:
    every = (Settings, ServingSettings, PipelineSettings, LocalSettings, UiSettings)
    assert {field for kind in every for field in kind.model_fields} == ALL


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
        assert line.startswith(f"touchline: {mistaken} is no setting; did you mean {meant}")


def test_what_is_a_setting_or_somebody_elses_is_nobodys_mistake() -> None:
    assert unknown(["TOUCHLINE_HOME", "TOUCHLINE_OTLP_ENDPOINT", "PATH", "OTEL_EXPORTER_OTLP_ENDPOINT"]) == []
