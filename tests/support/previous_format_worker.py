"""A worker of another version: it has other names for the tasks whose columns it would not understand."""

from __future__ import annotations

from serving.worker import execution

execution.PREDICT_TOGETHER, execution.PREDICT_BATCH = "serving.predict_together.0", "serving.predict_batch.0"

from serving.worker.app import main  # noqa: E402 - the tasks take their names when they are imported

main()
