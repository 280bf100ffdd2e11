"""The blocking worker, which counts as stalled after seconds instead of half a minute and as stuck soon after."""

from __future__ import annotations

from serving.worker import consumption

consumption.STALLED_AFTER_SECONDS = 3.0
consumption.STUCK_AFTER_SECONDS = 6.0

import tests.support.blocking_worker  # noqa: E402, F401 - it runs the worker
