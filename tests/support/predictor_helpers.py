"""Calls a predictor without a service around it, and returns its forecasts as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from features.io.sources.bundled import COMPETITION
from serving.wire.columns import FixtureBatch, ForecastBatch
from serving.wire.fixtures import Fixture
from serving.wire.forecast_json import EncodedForecasts, encode_batch
from serving.worker.predictor import Predictor

FIXTURE = Fixture(
    "eng-premier-league-2025-26-arsenal-chelsea", COMPETITION, "2025-26", None, "Arsenal", "Chelsea", neutral=False
)


def documents(fixtures: Sequence[Fixture], forecasts: ForecastBatch) -> list[dict[str, Any]]:
    """Forecasts of fixtures as clients get them; require that none is an error."""
    assert not forecasts["errors"]
    encoded = EncodedForecasts.from_wire(forecasts)
    items = orjson.loads(encode_batch(range(len(fixtures)), fixtures, encoded, {}))["items"]
    return [item["forecast"] for item in items]


def ask(predictor: Predictor, fixtures: Sequence[Fixture]) -> list[dict[str, Any]]:
    """A predictor's forecasts of fixtures."""
    return documents(fixtures, predictor.predict(FixtureBatch.from_fixtures(fixtures)).forecasts)
