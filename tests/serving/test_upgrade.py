"""While an upgrade replaces processes one by one, no request fails because it reaches one of another version."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.service_harness import Service, World

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.mark.slow
def test_a_request_that_meets_a_worker_of_another_version_waits_for_one_of_its_own(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path: Path
) -> None:
    service = Service(master, *brokers(12), tmp_path, extra={"TOUCHLINE_SYNC_TIMEOUT_SECONDS": "90"})
    try:
        service.start_api()
        service.start_worker("other", "tests.support.previous_format_worker")
        service.wait_ready()
        with httpx.Client(base_url=service.url, timeout=100) as api, ThreadPoolExecutor(9) as callers:
            requests = [callers.submit(api.post, "/predict", json=PAIR) for _ in range(8)]
            requests.append(callers.submit(api.post, "/predict/batch", json={"matches": [PAIR] * 3}))
            time.sleep(3)
            assert not any(request.done() for request in requests)
            later = api.post("/predict/async/", json=PAIR)
            assert later.status_code == 202, "asynchronous tasks have the same message in all versions"
            service.start_worker()
            assert [request.result().status_code for request in requests] == [200] * 9
            assert "unregistered task" in (service.folder / "other.log").read_text()
            assert [api.post("/predict", json=PAIR).status_code for _ in range(40)] == [200] * 40
    finally:
        service.stop()
