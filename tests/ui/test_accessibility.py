"""Colours can be read, charts have names, and tables have headers."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ui import charts
from ui.api_models import Comparison, CurvePoint, DriftSummary, PerformanceWeek, Rating

UI = Path(charts.__file__).parent
THEME = tomllib.loads((UI / ".streamlit" / "config.toml").read_text())["theme"]
TEXT_ON_BUTTONS = "#ffffff"


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_buttons_have_enough_contrast(mode: str) -> None:
    """WCAG AA asks for 4.5 for text, and for 3 for what is no text."""
    colours = THEME[mode]
    for background in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
        assert contrast(colours["textColor"], background) >= 4.5
        assert contrast(colours["linkColor"], background) >= 4.5
        assert contrast(colours["primaryColor"], background) >= 3
    assert contrast(TEXT_ON_BUTTONS, colours["primaryColor"]) >= 4.5


def every_chart() -> dict[str, Any]:
    """Each chart with a little data."""
    week, at = "2026-03-09", datetime(2026, 3, 9, 12, tzinfo=UTC)
    point = CurvePoint.model_construct(forecast=0.5, observed=0.4, n=10, low=0.3, high=0.5)
    difference = Comparison.model_construct(mean=-0.01, low=-0.02, high=0.0, n=10, skill=0.1)
    rating = Rating.model_construct(team="A", kick_off=at, elo=1500.0)
    drift = DriftSummary.model_construct(week=week, share=0.1, state="stable", matches=100)
    scores = PerformanceWeek.model_construct(week=week, matches=10, rps={}, rps_so_far={"model": 0.2})
    return {
        "reliability": charts.reliability([point], "home win", charts.HOME),
        "score_trend": charts.score_trend([scores]),
        "rps_differences": charts.rps_differences({"elo": difference}),
        "rating_history": charts.rating_history([rating], "A", "B"),
        "drift_trend": charts.drift_trend([drift]),
    }


def test_every_chart_has_a_name() -> None:
    """Without a description, a screen reader finds an image without a name."""
    made = every_chart()
    functions = set(re.findall(r"^def ([a-z]\w+)", Path(charts.__file__).read_text(), re.MULTILINE))
    assert set(made) == functions
    names = [chart.to_dict().get("description", "") for chart in made.values()]
    assert all(names)
    assert len(set(names)) == len(names)


def test_no_table_has_an_empty_header_cell() -> None:
    """A screen reader reads the header before each cell of its column."""
    empty = re.compile(r"<th[^>]*></th>")
    assert [path.name for path in UI.rglob("*.py") if empty.search(path.read_text())] == []
