"""`make up` in a process of its own, and what a new user does with it."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import httpx
import psutil
import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 600


class Run:
    """`make up` in a process group of its own, as in a terminal."""

    def __init__(self, repository: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["make", "up"],
            cwd=repository,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._home = Path(environment["TOUCHLINE_HOME"])
        self._fresh: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._fresh.put(line.rstrip())
        self._fresh.put(None)

    def wait_for(self, text: str) -> None:
        """Read the output until a line contains `text`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                line = self._fresh.get(timeout=max(deadline - time.monotonic(), 0.1))
            except queue.Empty:
                break
            assert line is not None, f"ended before {text!r}:\n" + "\n".join(self.lines)
            self.lines.append(line)
            if text in line:
                return
        output = "\n".join(self.lines)
        living = "\n".join(processes_of(self._home))
        events = (self._home / "logs" / "system.log").read_text()
        pytest.fail(f"{text!r} did not come within {PATIENCE} s:\n{output}\nStill there:\n{living}\nEvents:\n{events}")

    def stop(self, how: signal.Signals) -> None:
        """Send a signal as a terminal does, to the whole group, and wait for the end."""
        os.killpg(self.process.pid, how)
        self.wait_for("nothing is left running")
        self.process.wait(30)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(60)


def processes_of(home: Path) -> list[str]:
    """Command lines of running processes whose environment names this home folder."""
    command_lines = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TOUCHLINE_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                command_lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return command_lines


def first_loop(repository: Path, environment: dict[str, str]) -> None:
    """Start, request forecasts, read the page and stop; then start again and get the same forecasts."""
    home = Path(environment["TOUCHLINE_HOME"])
    api = f"http://127.0.0.1:{environment['TOUCHLINE_API_PORT']}"
    with Run(repository, environment) as run:
        run.wait_for("Ctrl-C stops everything")
        assert any(re.search(r"First forecast served after \d+ s", line) for line in run.lines)
        viewer = f"http://127.0.0.1:{environment['TOUCHLINE_UI_PORT']}"
        early = next(i for i, line in enumerate(run.lines) if line == f"  forecasts are served now: {viewer}")
        assert "everything is up to date" in "".join(run.lines[early:]), "printed while the pipeline still runs"
        published, fresh = a_forecast_over_http(api)
        assert published["probabilities"] == pytest.approx(fresh["probabilities"], abs=1e-9)
        the_page_shows(f"http://127.0.0.1:{environment['TOUCHLINE_UI_PORT']}", published)
        for name in ("DAGSTER", "MLFLOW"):
            assert (
                httpx.get(f"http://127.0.0.1:{environment[f'TOUCHLINE_{name}_PORT']}/", timeout=20).status_code == 200
            )
        run.stop(signal.SIGINT)
    assert processes_of(home) == []
    assert not (home / "up.lock").exists()

    with Run(repository, environment) as again:  # continues where the first run stopped
        again.wait_for("Ctrl-C stops everything")
        repeated, _ = a_forecast_over_http(api)
        assert repeated["match_id"] == published["match_id"]
        assert repeated["model"] == published["model"]
        assert repeated["probabilities"] == published["probabilities"]
        again.stop(signal.SIGTERM)
    assert processes_of(home) == []


def a_forecast_over_http(api: str) -> tuple[dict[str, object], dict[str, object]]:
    """The published forecast of the next match and a fresh one through the queue."""
    match = httpx.get(f"{api}/matches", params={"status": "scheduled", "limit": 1}, timeout=20).json()["items"][0]
    published = httpx.get(f"{api}/predict/{match['match_id']}", timeout=20)
    assert published.status_code == 200, published.text
    request = {name: match[name] for name in ("home_team", "away_team", "competition", "kick_off")}
    fresh = httpx.post(f"{api}/predict", json=request, timeout=40)
    assert fresh.status_code == 200, fresh.text
    return published.json(), fresh.json()


def the_page_shows(address: str, forecast: dict[str, object]) -> None:
    """The match list in a real browser names both clubs and draws the served probabilities."""
    assert isinstance(forecast["probabilities"], dict)
    percentages = [str(round(100 * share)) for share in forecast["probabilities"].values()]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_text(str(forecast["home_team"])).first.wait_for(timeout=60_000)
        text = page.locator("body").inner_text()
        browser.close()
    assert str(forecast["away_team"]) in text
    for percentage in percentages:
        assert percentage in text
