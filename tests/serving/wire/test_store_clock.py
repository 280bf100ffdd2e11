"""Deadlines are compared on the result store's clock, which API and workers share."""

from __future__ import annotations

import pytest

from serving.wire.store_clock import StoreClock
from tests.support.fakes import FakeClock


def test_the_store_decides_what_time_it_is() -> None:
    """A later step of this machine's clock changes only the skew."""
    wall, monotonic = FakeClock(), FakeClock()
    monotonic.seconds = 7.0
    clock = StoreClock(wall, monotonic)
    assert clock.now() == wall.seconds
    assert not clock.is_synchronised
    clock.synchronise((964, 500_000), 6.0, 7.0)
    assert clock.now() == pytest.approx(965.0)
    assert clock.skew_seconds == pytest.approx(35.0)
    monotonic.seconds += 10
    wall.seconds -= 1000
    assert clock.now() == pytest.approx(975.0)
    assert clock.skew_seconds == pytest.approx(-975.0)
