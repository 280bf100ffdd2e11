"""Several API processes on a slow machine."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from serving.api.app import main


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The options with which `main` starts uvicorn, which starts nothing here."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **given: options.update(given, app=app))
    loggers = [
        (logger, logger.level, logger.handlers[:]) for logger in (logging.root, logging.getLogger("uvicorn.error"))
    ]
    yield options
    for logger, level, handlers in loggers:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def test_process_may_take_long_to_start(served: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn ends a process that does not answer in this time, and starts it again, for ever."""
    monkeypatch.setenv("TOUCHLINE_API_PROCESSES", "3")
    main()
    assert served["workers"] == 3
    assert served["timeout_worker_healthcheck"] >= 60
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ, "the folder is gone, and so is its name"


def test_parent_logs_what_it_does_to_its_processes(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of the API says that a process died; it is not empty."""
    monkeypatch.setenv("TOUCHLINE_API_PROCESSES", "3")
    main()
    assert served["app"]
    logging.getLogger("uvicorn.error").info("Child process [7] died")
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["event"], line["level"]) == ("Child process [7] died", "info")


def test_variables_of_other_servers_do_not_steer_uvicorn(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosting platforms set these for any web application; three processes would have three different `/metrics`."""
    foreign = {"WEB_CONCURRENCY": "3", "FORWARDED_ALLOW_IPS": "*"}
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    main()
    for name, value in foreign.items():  # main has removed them
        monkeypatch.setenv(name, value)
    options = {name: served[name] for name in ("workers", "forwarded_allow_ips", "log_config")}
    config = uvicorn.Config(served["app"], **options)
    assert (config.workers, config.forwarded_allow_ips) == (1, "127.0.0.1")
