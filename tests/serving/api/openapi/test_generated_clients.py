"""Clients that well-known generators make from the OpenAPI document call every operation and parse its response."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF, load
from features.matches import Status, as_known_at
from features.matrix import feature_frame
from features.rating_history import compute_ratings
from features.season_simulation import simulate
from serving.api.openapi.examples import EXAMPLES
from tests.support.lake_reports import write_reports
from tests.support.service_harness import Service

PAIR = {"home_team": "Arsenal", "away_team": "Everton"}
MATCH = {"match_id": "eng-premier-league-2025-26-arsenal-chelsea"}
WEEK = {"week": "2026-03-09"}
TYPESCRIPT = ("openapi-typescript@7.13.0", "typescript@5.9.3")
CALLS: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any] | None]] = {
    ("post", "/predict"): ({}, PAIR | {"kick_off": "2026-05-02T15:00:00Z"}),
    ("post", "/predict/batch"): ({}, {"matches": [PAIR, PAIR | {"home_team": "Arsnal"}]}),
    ("post", "/predict/async/"): ({}, PAIR),
    ("get", "/predict/{match_id}"): (MATCH, None),
    ("get", "/matches"): ({}, None),
    ("get", "/matches/{match_id}"): (MATCH, None),
    ("get", "/forecasts.csv"): ({}, None),
    ("get", "/forecasts.parquet"): ({}, None),
    ("get", "/teams"): ({}, None),
    ("get", "/competitions"): ({}, None),
    ("get", "/competitions/{competition}/table"): ({"competition": COMPETITION}, None),
    ("get", "/matches/{match_id}/ratings"): (MATCH, None),
    ("get", "/matches/{match_id}/insight"): (MATCH, None),
    ("get", "/predict/model/info"): ({}, None),
    ("get", "/monitoring/task_status/{task_id}"): ({}, None),
    ("get", "/monitoring/celery/queues"): ({}, None),
    ("get", "/monitoring/celery/workers"): ({}, None),
    ("get", "/monitoring/drift"): ({}, None),
    ("get", "/monitoring/drift/{week}"): (WEEK, None),
    ("get", "/monitoring/drift/{week}/report"): (WEEK, None),
    ("get", "/monitoring/performance"): ({}, None),
    ("get", "/monitoring/gate"): ({}, None),
    ("get", "/healthcheck/"): ({}, None),
    ("get", "/healthcheck/ready"): ({}, None),
    ("get", "/metrics"): ({}, None),
}
"""Path parameters and body of one good request for each operation; the id of a task is added when there is one."""
NOT_PUBLISHED = {"/matches/{match_id}/insight"}
"""The forecasts of the tests' lake have no details: the response is a problem document."""


@pytest.fixture(scope="module")
def full_lake(service: Service) -> Iterator[None]:
    """Everything that operations read, in the lake of the running service."""
    lake, root = service.world.lake, service.world.lake_root
    write_reports(lake)
    lake.write_bytes("reports/drift/week=2026-03-09/report.html", b"<html>drift</html>")
    matches = as_known_at(load(), REPLAY_AS_OF)
    states = compute_ratings(matches)
    lake.write_table("match_features", COMPETITION, feature_frame(matches, states.home, states.away))
    season = matches.query("season == '2025-26'").reset_index(drop=True)
    ahead = season.loc[season["status"] != Status.PLAYED, ["match_id"]].assign(home=0.45, draw=0.27, away=0.28)
    final = simulate(season, ahead, np.tile(np.log([1.5, 1.2]), (len(ahead), 1)), runs=100).assign(complete=True)
    final = final.assign(season="2025-26", model_version=1, features_as_of=pd.Timestamp(REPLAY_AS_OF))
    lake.write_table("season_forecast", COMPETITION, final)
    yield
    for folder in ("reports", "match_features", "season_forecast"):
        shutil.rmtree(root / folder)


@pytest.fixture(scope="module")
def document(api: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The OpenAPI document as a file."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(api.get("/openapi.json").content)
    return path


@pytest.fixture
def operations(api: httpx.Client, document: Path) -> dict[tuple[str, str], tuple[dict[str, Any], Any]]:
    """`CALLS` with the id of a task; fails if the document has another set of operations."""
    paths = json.loads(document.read_bytes())["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == CALLS.keys()
    task = {"task_id": api.post("/predict/async/", json=PAIR).json()["task_id"]}
    return CALLS | {("get", "/monitoring/task_status/{task_id}"): (task, None)}


@pytest.mark.usefixtures("full_lake")
def test_a_python_client_parses_the_response_of_every_operation(
    api: httpx.Client, document: Path, operations: dict[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openapi-python-client leaves out, with a warning, what it cannot express, and then returns None."""
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    made = subprocess.run(
        [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--path", str(document),
         "--output-path", str(tmp_path / "touchline_python_client"), "--meta", "none", "--fail-on-warning",
         "--config", str(tmp_path / "config.yaml")],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "touchline_python_client"
    try:
        models, package = importlib.import_module(f"{name}.models"), importlib.import_module(f"{name}.client")
        client = package.Client(base_url=str(api.base_url), timeout=httpx.Timeout(40))
        paths = json.loads(document.read_bytes())["paths"]
        for (method, path), (arguments, body) in operations.items():
            operation = paths[path][method]
            module = re.sub("_+", "_", operation["operationId"]).strip("_")
            call = importlib.import_module(f"{name}.api.{operation['tags'][0]}.{module}").sync_detailed
            if body is not None:
                kind = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                call = partial(call, body=getattr(models, kind).from_dict(body))
            response = call(client=client, **arguments)
            assert response.parsed is not None, (method, path, response)
            assert isinstance(response.parsed, models.Problem) == (path in NOT_PUBLISHED), (path, response.content)
            assert response.status_code == (404 if path in NOT_PUBLISHED else 202 if path.endswith("async/") else 200)
        for kind, example in EXAMPLES.items():
            assert getattr(models, kind).from_dict(example).to_dict().keys() >= example.keys(), kind
    finally:
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]


@pytest.mark.slow
@pytest.mark.usefixtures("full_lake")
def test_the_types_of_a_typescript_client_fit_every_response(
    api: httpx.Client, document: Path, operations: dict[Any, Any], tmp_path: Path
) -> None:
    """Requests and the responses to them are literals of the types that openapi-typescript makes; tsc checks them."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    installed = _run(tmp_path, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *TYPESCRIPT)
    if installed.returncode:
        pytest.skip(f"npm cannot install {' and '.join(TYPESCRIPT)}: {installed.stderr[-300:]}")
    binaries = tmp_path / "node_modules" / ".bin"
    made = _run(tmp_path, str(binaries / "openapi-typescript"), str(document), "-o", "types.ts")
    assert made.returncode == 0, made.stderr
    lines = ['import type { paths } from "./types";']
    for number, ((method, path), (arguments, body)) in enumerate(operations.items()):
        response = api.request(method, path.format(**arguments), json=body)
        media = response.headers["content-type"].partition(";")[0]
        content = response.json() if media.endswith("json") else response.text
        kind = f'paths["{path}"]["{method}"]'
        documented = f'{kind}["responses"][{response.status_code}]["content"]["{media}"]'
        lines.append(f"export const response{number}: {documented} = {json.dumps(content)};")
        if body is not None:
            sent = f'NonNullable<{kind}["requestBody"]>["content"]["application/json"]'
            lines.append(f"export const body{number}: {sent} = {json.dumps(body)};")
    lines += ["// @ts-expect-error: fields are missing", 'export const wrong: (typeof response0)["model"] = {};']
    (tmp_path / "responses.ts").write_text("\n".join(lines))
    checked = _run(tmp_path, str(binaries / "tsc"), "--strict", "--noEmit", "--skipLibCheck", "responses.ts")
    assert checked.returncode == 0, checked.stdout


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
