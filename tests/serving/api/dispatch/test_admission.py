"""The estimate behind load shedding: what is known of waiting, and what is not assumed."""

from __future__ import annotations

import pytest

from serving.api.dispatch.admission import Backlog


def test_a_burst_is_let_in_as_long_as_answers_are_not_late() -> None:
    backlog = Backlog()
    backlog.outstanding = 2_000
    for _ in range(2):
        backlog.answered(100)
        backlog.tick(1, 0)
    assert backlog.wait(0.2) == 0.2
    assert backlog.wait(1.0) == pytest.approx(20)


def test_before_anything_is_known_nobody_is_turned_away() -> None:
    backlog = Backlog()
    backlog.outstanding = 5_000
    assert backlog.wait(0) == 0


def test_late_answers_and_a_known_rate_give_the_wait() -> None:
    backlog = Backlog()
    backlog.outstanding = 2_000
    for _ in range(2):  # behind at the start of the second and at its end
        backlog.answered(100)
        backlog.tick(1, 0)
    assert backlog.wait(1.5) == pytest.approx(20)


def test_few_requests_and_a_pause_are_not_taken_for_a_slow_service() -> None:
    backlog = Backlog()
    for _ in range(10):  # one a second, answered at once
        backlog.answered(1)
        backlog.tick(1, 0)
    backlog.answered(1)
    backlog.outstanding = 20
    for _ in range(4):  # a worker restarts
        backlog.tick(1, 0)
    assert backlog.wait(4) == 4
    assert backlog.wait(0.1) == 0.1  # it is back, and as fast as it was


def test_when_nothing_is_answered_at_all_the_oldest_tells_how_long_it_takes() -> None:
    backlog = Backlog()
    backlog.outstanding = 3
    assert backlog.wait(12) == 12


def test_the_queue_is_judged_by_how_fast_it_empties() -> None:
    backlog = Backlog()
    backlog.tick(1, 30_000)
    assert backlog.wait(0) == pytest.approx(30_000 / 50)  # nothing known: careful
    for _ in range(100):
        backlog.published()
    backlog.tick(1, 28_000)  # 2,100 a second left it
    assert backlog.wait(0) == pytest.approx(28_000 / 2_100)
