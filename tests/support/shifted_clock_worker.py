"""A worker whose clock is wrong by the seconds in TOUCHLINE_TEST_CLOCK_SHIFT; its monotonic clock is right."""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

SHIFT_SECONDS = float(os.environ["TOUCHLINE_TEST_CLOCK_SHIFT"])
_time = time.time


def shifted_time() -> float:
    return _time() + SHIFT_SECONDS


time.time = shifted_time

from celery.worker import request  # noqa: E402 - Celery takes the time on import

from serving.worker.app import main  # noqa: E402


class ShiftedDatetime(datetime.datetime):
    """`now` by the wrong clock, with which Celery compares the expiry of a task."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.datetime.fromtimestamp(shifted_time(), tz)


request.datetime = ShiftedDatetime
main()
