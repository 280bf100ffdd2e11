"""The tasks on queue `ml`. The worker runs those that wait together as one call: see `serving.worker.batching`."""

from __future__ import annotations

from typing import Any

from serving.worker.app import app
from serving.worker.execution import PREDICT, PREDICT_BATCH, PREDICT_TOGETHER, Call, run

STRATEGY = "serving.worker.batching:strategy"


@app.task(name=PREDICT, bind=True, Strategy=STRATEGY)
def predict(self: Any, fixture: dict[str, Any]) -> None:
    """Forecast one match."""
    run([Call(self.request.id, PREDICT, [fixture])])


@app.task(name=PREDICT_TOGETHER, bind=True, Strategy=STRATEGY)
def predict_together(self: Any, slate: dict[str, Any]) -> None:
    """Forecast what several callers asked for at the same time: columns in, columns out."""
    run([Call(self.request.id, PREDICT_TOGETHER, [slate])])


@app.task(name=PREDICT_BATCH, bind=True, Strategy=STRATEGY)
def predict_batch(self: Any, slate: dict[str, Any]) -> None:
    """Forecast the 1,000 matches, or fewer, of one request: columns in, columns out."""
    run([Call(self.request.id, PREDICT_BATCH, [slate])])
