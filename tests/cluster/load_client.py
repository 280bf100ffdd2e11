"""Requests at a fixed rate from inside a cluster, over kept connections, as a plain client makes them: no retries.

Standard library only, because it runs in the serving image: `python load_client.py HOST RATE SECONDS CONNECTIONS`.
The last line that it prints is a JSON document: requests, statuses, errors by class, p50 and p99 in milliseconds.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter

BODY = json.dumps({"home_team": "Arsenal", "away_team": "Chelsea"})
HEADERS = {"content-type": "application/json"}


class Client(threading.Thread):
    """One connection, reopened only when the server has asked for that; an error counts and is not repeated."""

    def __init__(self, host: str, rate: float, start: float, end: float) -> None:
        super().__init__(daemon=True)
        self._host, self._interval, self._start, self._end = host, 1 / rate, start, end
        self.statuses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.milliseconds: list[float] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._host, 8000, timeout=40)
        due = self._start
        while due < self._end:
            time.sleep(max(0.0, due - time.monotonic()))
            sent_at = time.monotonic()
            try:
                connection.request("POST", "/predict", BODY, HEADERS)
                answer = connection.getresponse()
                answer.read()  # http.client closes the connection after `Connection: close`, and reopens it by itself
                self.statuses[str(answer.status)] += 1
                self.milliseconds.append((time.monotonic() - sent_at) * 1000)
            except (OSError, http.client.HTTPException) as error:
                self.errors[f"{type(error).__name__}: {error}"] += 1
                connection.close()
            due += self._interval
        connection.close()


def main() -> None:
    """Run all clients and print what they saw."""
    host, rate, seconds, connections = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    start = time.monotonic() + 1
    # The clients take turns, so that requests are evenly spaced.
    clients = [
        Client(host, rate / connections, start + number / rate, start + seconds) for number in range(connections)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    taken = sorted(duration for client in clients for duration in client.milliseconds) or [float("nan")]
    statuses: Counter[str] = sum((client.statuses for client in clients), Counter())
    errors: Counter[str] = sum((client.errors for client in clients), Counter())
    document = {
        "requests": sum(statuses.values()) + sum(errors.values()),
        "statuses": statuses,
        "errors": errors,
        "p50_ms": round(taken[len(taken) // 2], 1),
        "p99_ms": round(taken[int(len(taken) * 0.99)], 1),
    }
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
