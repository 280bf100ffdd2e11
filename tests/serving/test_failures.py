"""Failures that nobody waits for are seen all the same, and each error has its status."""

from __future__ import annotations

import importlib
import re

import pytest

import serving
from features.errors import LeakageError, StorageUnavailableError
from monitoring.metrics import PROCESS_REGISTRY
from serving.api.problem_details import to_problem
from serving.telemetry import logging
from serving.worker import execution
from serving.worker.execution import PREDICT, Call


def test_failed_tasks_of_asynchronous_callers_are_counted_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Call("a", PREDICT, [{}], track=True), Call("b", PREDICT, [{}])]
    monkeypatch.setattr(execution, "_answers", lambda _: ([LeakageError("too late")] * 2, None))
    monkeypatch.setattr(execution, "_persist", lambda _: None)
    monkeypatch.setattr(execution, "_store", lambda _: None)
    monkeypatch.setattr(execution, "the_predictor", lambda: type("None_", (), {"take_swaps": lambda _: {}})())
    before = _errors()
    logging.observe(execution.run(asked))
    assert _errors() - before == 1  # the API counts the other one, whose caller it tells


def test_storage_that_is_away_is_a_503() -> None:
    assert to_problem(StorageUnavailableError("connection refused"))[0].status == 503


def test_the_commands_that_the_package_names_exist() -> None:
    named = re.findall(r"python -m ([\w.]+)", serving.__doc__ or "")
    assert len(named) == 2
    for name in named:
        assert callable(importlib.import_module(name).main)


def _errors() -> float:
    return PROCESS_REGISTRY.get_sample_value("touchline_errors_total", {"kind": "invalid_input"}) or 0.0
