"""The tasks on queue `ml`.

A worker does not run these functions: `serving.worker.batching.strategy` takes the messages and runs waiting tasks as
one call. The bodies run only when a task is called directly.
"""

from __future__ import annotations

from typing import Any

from serving.wire.tasks import PREDICT_ASYNC, PREDICT_COLUMNS
from serving.worker.app import app
from serving.worker.execution import TaskInvocation, execute_batch_in_child

# Celery looks the function up by this string; no module imports it.
STRATEGY = "serving.worker.batching:strategy"


@app.task(name=PREDICT_ASYNC, bind=True, Strategy=STRATEGY)
def predict_async(self: Any, fixture: dict[str, Any]) -> None:
    """Forecast one match; the stored result is the JSON of its forecast."""
    execute_batch_in_child([TaskInvocation(self.request.id, PREDICT_ASYNC, [fixture])])


@app.task(name=PREDICT_COLUMNS, bind=True, Strategy=STRATEGY)
def predict_columns(self: Any, fixtures: dict[str, Any]) -> None:
    """Forecast the matches of one or several requests: columns in, columns out."""
    execute_batch_in_child([TaskInvocation(self.request.id, PREDICT_COLUMNS, [fixtures])])
