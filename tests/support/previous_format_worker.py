"""A worker of another wire format: it does not know the name of this version's columnar task."""

from __future__ import annotations

from serving.wire import tasks

tasks.PREDICT_COLUMNS = "serving.predict_columns.0"

from serving.worker.app import main  # noqa: E402 - the task takes its name on import

main()
