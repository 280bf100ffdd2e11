"""Our settings decide which broker and store the worker uses, whatever else the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.worker.environment import remove_library_variables

PROGRAM = """
import json
from serving.worker.environment import remove_library_variables
removed = remove_library_variables()
from serving.worker.app import app
conf = app.conf
urls = [conf.broker_url, conf.broker_read_url, conf.broker_write_url, conf.result_backend]
print(json.dumps([urls, app.connection_for_read().as_uri(), type(app.loader).__name__]))
"""
ELSEWHERE = "redis://127.0.0.1:1/9"


def test_variables_of_celery_do_not_steer_the_worker(repository: Path) -> None:
    names = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")
    foreign = {
        **dict.fromkeys(names, ELSEWHERE),
        "BROKER_URL": ELSEWHERE,
        "CELERY_LOADER": "nowhere:Loader",
        "CELERY_CONFIG_MODULE": "nowhere",
        "DJANGO_SETTINGS_MODULE": "nowhere",
        "CELERY_WORKER_REVOKES_MAX": "many",
    }
    ours = {"TOUCHLINE_BROKER_URL": "redis://127.0.0.1:2/3", "TOUCHLINE_RESULT_BACKEND_URL": "redis://127.0.0.1:2/4"}
    environment = {**os.environ, **foreign, **ours}
    output = subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment, cwd=repository, text=True)
    assert "127.0.0.1:1" not in output
    assert output.count("127.0.0.1:2/3") == 4
    assert "serving.worker.result_backend:ResultBackend" in output  # it uses the setting, not Celery.s address


def test_only_variables_of_the_libraries_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CELERYD_POOL", "APP", "REMAP_SIGTERM", "TOUCHLINE_BROKER_URL", "MY_CELERY_NAME", "C_FORCE_ROOT"):
        monkeypatch.setenv(name, "x")
    removed = remove_library_variables()
    assert {"CELERYD_POOL", "APP", "REMAP_SIGTERM"} <= set(removed)
    assert all(os.environ.get(name) for name in ("TOUCHLINE_BROKER_URL", "MY_CELERY_NAME", "C_FORCE_ROOT"))
