"""A worker whose model waits while a file exists, so that a test can break things in the middle of a call."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from features.io.registry import LoadedModel
from serving.worker.app import main

GATE = Path(os.environ["TOUCHLINE_TEST_GATE"])
_predict_proba = LoadedModel.predict_proba


def held(self: LoadedModel, x: np.ndarray) -> np.ndarray:
    while GATE.exists():
        GATE.with_suffix(".entered").touch()
        time.sleep(0.01)
    return _predict_proba(self, x)


LoadedModel.predict_proba = held  # type: ignore[method-assign]  # on purpose, in this process only
main()
