"""The program that measures beside costly callers sends what it says, and judges what it measures."""

from __future__ import annotations

import httpx
import pytest

from tests.load.costly_callers import LIVENESS_P99, OTHERS_P99, Row, costly_requests
from tests.support.load_generator import Outcome

KINDS = costly_requests(["Arsenal", "Chelsea", "Everton"])


@pytest.mark.parametrize("kind", KINDS)
def test_costly_request_is_answered_as_expected(api: httpx.Client, kind: str) -> None:
    """A request that is refused for another reason would cost less than its kind is about."""
    request = KINDS[kind]
    method = "GET" if request.body is None else "POST"
    headers = {"Content-Type": "application/json"}
    assert api.request(method, request.path, content=request.body, headers=headers).status_code == request.status


@pytest.mark.parametrize(
    ("others", "liveness", "failures", "is_met"),
    [
        (OTHERS_P99, LIVENESS_P99, 0, True),
        (OTHERS_P99 + 1, LIVENESS_P99, 0, False),
        (OTHERS_P99, LIVENESS_P99 + 1, 0, False),
        (OTHERS_P99, LIVENESS_P99, 1, False),
    ],
)
def test_objectives_are_judged(others: float, liveness: float, failures: int, is_met: bool) -> None:
    row = Row("batch", Outcome(1, [others / 1000], failures), Outcome(1, [liveness / 1000]))
    assert row.is_met is is_met
    assert ("MISSED" in str(row)) is not is_met
