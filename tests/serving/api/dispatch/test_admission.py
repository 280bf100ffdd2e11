"""The estimated wait that load shedding is based on."""

from __future__ import annotations

import pytest

from serving.api.dispatch.admission import LoadEstimator


def test_a_burst_is_admitted_while_answers_are_in_time() -> None:
    load = LoadEstimator()
    load.outstanding = 2_000
    for _ in range(2):
        load.count_answered(100)
        load.update(1, 0)
    assert load.estimated_wait(0.2) == 0.2
    assert load.estimated_wait(1.0) == pytest.approx(20)


def test_without_a_measured_rate_no_request_is_shed() -> None:
    load = LoadEstimator()
    load.outstanding = 5_000
    assert load.estimated_wait(0) == 0


def test_late_answers_and_a_measured_rate_give_the_wait() -> None:
    load = LoadEstimator()
    load.outstanding = 2_000
    for _ in range(2):  # busy at the start of the second and at its end
        load.count_answered(100)
        load.update(1, 0)
    assert load.estimated_wait(1.5) == pytest.approx(20)


def test_few_requests_and_a_pause_do_not_look_like_a_slow_service() -> None:
    load = LoadEstimator()
    for _ in range(10):  # one a second, answered at once
        load.count_answered(1)
        load.update(1, 0)
    load.count_answered(1)
    load.outstanding = 20
    for _ in range(4):  # a worker restarts
        load.update(1, 0)
    assert load.estimated_wait(4) == 4
    assert load.estimated_wait(0.1) == 0.1  # the worker is back and as fast as before


def test_without_answers_the_wait_is_the_age_of_the_oldest() -> None:
    load = LoadEstimator()
    load.outstanding = 3
    assert load.estimated_wait(12) == 12


def test_the_wait_in_the_queue_follows_from_its_drain_rate() -> None:
    load = LoadEstimator()
    load.update(1, 30_000)
    assert load.estimated_wait(0) == pytest.approx(30_000 / 50)  # no rate measured yet: assume a low one
    for _ in range(100):
        load.count_published()
    load.update(1, 28_000)  # 2,100 tasks a second left the queue
    assert load.estimated_wait(0) == pytest.approx(28_000 / 2_100)
