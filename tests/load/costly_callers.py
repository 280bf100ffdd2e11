"""Ordinary requests beside one costly caller of each kind: `make load-test-costly`, against a running service.

The costly caller sends its request again as soon as it is answered. The others send theirs on a schedule, whether or
not earlier ones were answered. Prints p50 and p99 of the others and of the liveness probe for each kind, and a verdict;
the exit code is 1 if an objective is missed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import httpx

from serving.api.middleware import MAX_BODY_VALUES
from serving.wire.limits import MAX_BATCH_SIZE
from tests.support.load_generator import Outcome, closed, opened

OTHERS_P99, LIVENESS_P99 = 150.0, 100.0
"""Objectives in milliseconds, on two cores that also run this program."""
SECONDS = 10.0
OTHERS_RATE, LIVENESS_RATE = 50.0, 20.0
"""Requests per second."""
UNKNOWN = "Wanderers of the North and "
"""Part of a long name that resembles many."""


@dataclass(frozen=True)
class CostlyRequest:
    """The request of a costly caller, and the status that it is answered with."""

    path: str
    body: bytes | None = None
    status: int = 200


def costly_requests(teams: Sequence[str]) -> Mapping[str, CostlyRequest]:
    """Requests by kind; `teams` are clubs of one competition that can be forecast."""
    pairs = [(home, away) for home in teams for away in teams if home != away]
    matches = [dict(zip(("home_team", "away_team"), pairs[n % len(pairs)], strict=True)) for n in range(MAX_BATCH_SIZE)]
    kick_offs = [f"2026-08-{20 + n % 8:02d}T{n % 24:02d}:{n % 60:02d}:00Z" for n in range(MAX_BATCH_SIZE)]
    unknown = [{"home_team": f"{UNKNOWN * 2}{n}", "away_team": f"{n} {UNKNOWN}"} for n in range(MAX_BATCH_SIZE)]
    misspelt = [{**match, "competition": f"eng-premier-leage-{n}"} for n, match in enumerate(matches)]
    return {
        "nothing": CostlyRequest("/healthcheck/"),
        "batch": _batch(matches),
        "unknown clubs": _batch(unknown),
        "unknown competitions": _batch(misspelt),
        "own kick-offs": _batch(
            [{**match, "kick_off": kick_off} for match, kick_off in zip(matches, kick_offs, strict=True)]
        ),
        "keys": CostlyRequest("/predict/batch", b"{%b}" % b",".join(b'"%d":1' % n for n in range(90_000)), 413),
        "allowed keys": CostlyRequest("/predict", _keys(MAX_BODY_VALUES - 2), 422),
        "empty lists": CostlyRequest("/predict", b'{"home_team":[%b[]]}' % (b"[]," * 300_000), 413),
        "deep lists": CostlyRequest("/predict", b'{"home_team":%b%b}' % (b"[" * 9_000, b"]" * 9_000), 422),
        "escapes": CostlyRequest("/predict", b'{"home_team":"%b"}' % (rb"\u00e9" * 160_000), 422),
        "similar names": CostlyRequest("/predict", json.dumps(unknown[0]).encode(), 422),
        "matches": CostlyRequest("/matches?limit=200"),
        "similar clubs": CostlyRequest(f"/matches?team={'x' * 100}", status=422),
        "parameters": CostlyRequest(f"/matches?{'&'.join(f'a{n}=1' for n in range(1_500))}", status=422),
        "document": CostlyRequest("/openapi.json"),
        "metrics": CostlyRequest("/metrics"),
        "drift": CostlyRequest("/monitoring/drift"),
    }


def _batch(matches: Sequence[Mapping[str, Any]]) -> CostlyRequest:
    return CostlyRequest("/predict/batch", json.dumps({"matches": matches}).encode())


def _keys(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"%d":1' % n for n in range(count))


@dataclass(frozen=True)
class Row:
    """What was measured beside one kind of caller."""

    kind: str
    others: Outcome
    liveness: Outcome

    @property
    def is_met(self) -> bool:
        """Whether both objectives are met, and every ordinary request was answered."""
        return (
            self.others.milliseconds(99) <= OTHERS_P99
            and self.liveness.milliseconds(99) <= LIVENESS_P99
            and self.others.failures + self.liveness.failures == 0
        )

    def __str__(self) -> str:
        figures = [outcome.milliseconds(share) for outcome in (self.others, self.liveness) for share in (50, 99)]
        return (
            f"{self.kind:<21}{''.join(f'{figure:9.1f}' for figure in figures)}"
            f"{self.others.failures + self.liveness.failures:8}   {'met' if self.is_met else 'MISSED'}"
        )


def _call(url: str, body: bytes | None, seconds: float) -> None:
    """Be the costly caller, in a process of its own."""
    asyncio.run(closed(url, [body], 1, seconds))


async def _measure(address: str, kind: str, bodies: Sequence[bytes], seconds: float) -> Row:
    others, liveness = await asyncio.gather(
        opened(f"{address}/predict", bodies, OTHERS_RATE, seconds),
        opened(f"{address}/healthcheck/", [None], LIVENESS_RATE, seconds),
    )
    return Row(kind, others, liveness)


def measure(address: str, seconds: float = SECONDS, only: Sequence[str] = ()) -> list[Row]:
    """Measure beside each kind of caller, or beside those of `only`."""
    items = httpx.get(f"{address}/teams", timeout=60).raise_for_status().json()["items"]
    teams = [item["name"] for item in items if item["competition"] == items[0]["competition"]]
    bodies = [json.dumps({"home_team": home, "away_team": teams[0]}).encode() for home in teams[1:]]
    rows = []
    for kind, request in costly_requests(teams).items():
        if only and kind not in only:
            continue
        arguments = (f"{address}{request.path}", request.body, seconds)
        caller = get_context("spawn").Process(target=_call, args=arguments)
        caller.start()
        rows.append(asyncio.run(_measure(address, kind, bodies, seconds)))
        caller.join()
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
    return rows


def main(kinds: Sequence[str]) -> int:
    """Measure and print; the arguments are the kinds of callers, by default all."""
    address = os.environ.get("TOUCHLINE_API_URL", "http://127.0.0.1:8000")
    sys.stdout.write(
        f"{'beside':<21}{'p50':>9}{'p99':>9}{'live p50':>9}{'live p99':>9}{'failed':>8}   (milliseconds)\n"
    )
    met = all(row.is_met for row in measure(address, only=kinds))
    sys.stdout.write(
        f"p99 <= {OTHERS_P99:.0f} ms, liveness <= {LIVENESS_P99:.0f} ms: {'met' if met else 'MISSED'} for all kinds\n"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
