"""What the worker's main process says about its own progress."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from serving.worker.consumption import STALLED_AFTER_SECONDS, STUCK_AFTER_SECONDS, Consumption
from tests.support.fakes import FakeClock


def _channel() -> SimpleNamespace:
    return SimpleNamespace(basic_ack=lambda tag, **_: tag, basic_reject=lambda tag, **_: tag)


def test_a_worker_that_holds_tasks_and_ends_none_is_stalled() -> None:
    """First it is not ready, later it needs a restart. A task that ends makes it ready again."""
    clock, channel = FakeClock(), _channel()
    consumption = Consumption(clock)
    consumption.watch(channel)
    consumption.report(True, None)
    assert consumption.is_ready
    clock.seconds += 10 * STUCK_AFTER_SECONDS
    consumption.report(True, None)
    assert consumption.is_ready, "it holds nothing"
    consumption.add(1)
    consumption.add(2)
    clock.seconds += STALLED_AFTER_SECONDS
    consumption.report(True, None)
    assert (consumption.held, consumption.is_ready, consumption.is_stuck) == (2, False, False)
    clock.seconds = clock.seconds - STALLED_AFTER_SECONDS + STUCK_AFTER_SECONDS
    assert consumption.is_stuck
    assert channel.basic_ack(1, multiple=False) == 1
    consumption.report(True, None)
    assert (consumption.held, consumption.is_ready, consumption.is_stuck) == (1, True, False)
    channel.basic_reject(2, requeue=True)
    assert consumption.held == 0


def test_messages_of_a_lost_connection_are_not_held() -> None:
    """The broker delivers them again."""
    consumption = Consumption(FakeClock())
    consumption.watch(_channel())
    consumption.add(1)
    consumption.watch(_channel())
    assert consumption.held == 0


def test_a_worker_whose_event_loop_is_late_does_not_consume() -> None:
    """So does one that the broker sends nothing of our queue."""
    clock = FakeClock()
    consumption = Consumption(clock)
    answers = [consumption.is_consuming]  # not before the event loop has said so
    consumption.report(True, "id")
    answers.append(consumption.is_consuming)
    clock.seconds += 60
    answers.append(consumption.is_consuming)
    consumption.report(False, "id")
    answers.append(consumption.is_consuming)
    assert answers == [False, True, False, False]


def test_the_probes_of_a_stalled_worker_fail(tmp_path: Path) -> None:
    """Its event loop no longer renews the file that readiness looks at."""
    from serving.worker import heartbeat

    renewals = []
    timer = SimpleNamespace(call_repeatedly=lambda _seconds, function, args, **_: renewals.append((function, args)))
    ready = [False, True]

    class Step(heartbeat.ConnectedStep):
        folder = tmp_path
        is_ready = staticmethod(lambda: ready.pop(0))

    worker = SimpleNamespace(timer=timer)
    Step(worker).start(worker)
    ((renew, arguments),) = renewals
    renew(*arguments)
    assert not (tmp_path / "connected").exists()
    renew(*arguments)
    assert (tmp_path / "connected").exists()
