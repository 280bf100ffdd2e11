"""Names of the tasks."""

from __future__ import annotations

WIRE_FORMAT_VERSION = 4
"""Version of `FixtureBatch` and `ForecastBatch`. Increase it whenever either changes.

It is part of the task's name, so a worker refuses a task whose columns it cannot read. During an upgrade the API then
sends the task again until a worker of its own version takes it.
"""
PREDICT_ASYNC = "serving.predict"
"""Forecast one match; the result is stored for a client that asks for it later. Understood by every release."""
PREDICT_COLUMNS = f"serving.predict_columns.{WIRE_FORMAT_VERSION}"
"""Forecast the matches of one or several waiting requests: columns in, columns out."""
