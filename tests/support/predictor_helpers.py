"""A predictor asked without a service around it: a fixture, a registry of one version, and the answers as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from features.io.sources.bundled import COMPETITION
from serving.wire import forecast_json
from serving.wire.columns import Fixture, Forecasts, slate
from serving.worker.predictor import Predictor

FIXTURE = Fixture(
    "eng-premier-league-2025-26-arsenal-chelsea", COMPETITION, "2025-26", None, "Arsenal", "Chelsea", neutral=False
)


def documents(fixtures: Sequence[Fixture], forecasts: Forecasts) -> list[dict[str, Any]]:
    """Forecasts of fixtures as callers get them, none of which is an error."""
    assert not forecasts["errors"]
    items = orjson.loads(
        forecast_json.batch(range(len(fixtures)), fixtures, forecast_json.Answers.read(forecasts), {})
    )["items"]
    return [item["forecast"] for item in items]


def ask(predictor: Predictor, fixtures: Sequence[Fixture]) -> list[dict[str, Any]]:
    """What a predictor forecasts of fixtures."""
    return documents(fixtures, predictor.predict(slate(fixtures)).forecasts)
