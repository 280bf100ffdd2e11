"""Other servers of the same estimator, each as its own documentation starts it.

MLServer and BentoML do not fit into our environment; each gets one of its own, in a temporary folder, with the same
scikit-learn. Where that cannot be made (no package index), the peer is left out and said so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import joblib
import msgspec
import numpy as np
import orjson
import sklearn

from features.io.registry import LoadedModel, ModelVersion, Registry
from features.io.sources.bundled import load
from features.matches import OUTCOMES
from features.matrix import RATING_FEATURES, Floats, model_input
from features.rating_history import compute_ratings
from serving.api.catalogue.catalogue import Catalogue
from serving.api.fast_path import PairBatch
from serving.wire.columns import FixtureBatch
from serving.wire.forecast_json import EncodedForecasts, encode_batch
from serving.worker.predictor import Predictor
from tests.support.ports import free_port
from tests.support.service_harness import REPOSITORY, World, wait_until

BIN = Path(sys.executable).parent
_BENTO = """
import bentoml
import joblib
import numpy as np


@bentoml.service(workers=2)
class Outcome:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(x)
"""


@dataclass
class Peer:
    """A server that runs, where it is asked, and how: rows of model input as a request, an answer as probabilities."""

    name: str
    process: subprocess.Popen[bytes]
    url: str
    body: Callable[[Floats], bytes]
    read: Callable[[Any], Any]

    def predict_proba(self, x: Floats) -> Floats:
        """What the model in the server answers, as the estimator itself would: for callers who want forecasts."""
        answer = self._client.post(self.url, content=self.body(x), headers={"content-type": "application/json"})
        answer.raise_for_status()
        return np.array(self.read(json.loads(answer.content)), float).reshape(-1, len(OUTCOMES))

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=60)

    def stop(self) -> None:
        """End it with all its workers."""
        os.killpg(self.process.pid, 15)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()


def registry_server(world: World, folder: Path) -> tuple[subprocess.Popen[bytes], World]:
    """MLflow's tracking server over the world's database, as every process but the registry's own sees it."""
    at = free_port()
    command = [str(BIN / "mlflow"), "server", "--backend-store-uri", world.tracking_uri, "--port", str(at)]
    # Its job runner is several processes, which would start up beside what is measured and share pages with it.
    process = _start([*command, "--workers", "1"], folder, "registry", {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    url = f"http://127.0.0.1:{at}"
    wait_until(lambda: httpx.get(f"{url}/health").status_code == 200, 120)
    return process, World(world.lake_root, url)


def mlflow(world: World, folder: Path) -> Peer:
    """`mlflow models serve` with two workers."""
    at = free_port()
    model = ["--model-uri", "models:/match-outcome/1", "--env-manager", "local"]
    command = [str(BIN / "mlflow"), "models", "serve", *model, "--port", str(at), "--workers", "2"]
    process = _start(command, folder, "mlflow models serve", {"MLFLOW_TRACKING_URI": world.tracking_uri})
    wait_until(lambda: httpx.get(f"http://127.0.0.1:{at}/ping").status_code == 200, 180)
    return Peer(
        "mlflow models serve",
        process,
        f"http://127.0.0.1:{at}/invocations",
        _mlflow_body,
        lambda answer: answer["predictions"],
    )


def mlserver(world: World, folder: Path) -> Peer:
    """MLServer's scikit-learn runtime, the model in the server's own process."""
    bin_ = _environment(folder, "mlserver", "mlserver", "mlserver-sklearn")
    home = _exported(world, folder / "mlserver-home")
    rest, grpc, metrics = free_port(), free_port(), free_port()
    own_process = {"parallel_workers": 0, "debug": False}
    ports = {"http_port": rest, "grpc_port": grpc, "metrics_port": metrics}
    (home / "settings.json").write_text(json.dumps({**ports, **own_process}))
    model = {
        "name": "match-outcome",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(home / "model.joblib")},
    }
    (home / "model-settings.json").write_text(json.dumps(model))
    process = _start([str(bin_ / "mlserver"), "start", str(home)], folder, "mlserver")
    url = f"http://127.0.0.1:{rest}/v2/models/match-outcome"
    wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200, 120)
    return Peer("MLServer", process, f"{url}/infer", _mlserver_body, lambda answer: answer["outputs"][0]["data"])


def bentoml(world: World, folder: Path) -> Peer:
    """BentoML with adaptive batching and two workers."""
    bin_ = _environment(folder, "bentoml", "bentoml")
    home = _exported(world, folder / "bentoml-home")
    (home / "service.py").write_text(_BENTO)
    at = free_port()
    private = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [str(bin_ / "bentoml"), "serve", "service:Outcome", "--port", str(at), "--working-dir", str(home)]
    process = _start(command, folder, "bentoml", private, home)
    wait_until(lambda: httpx.get(f"http://127.0.0.1:{at}/readyz").status_code == 200, 120)
    url = f"http://127.0.0.1:{at}/predict_proba"
    return Peer("BentoML", process, url, lambda x: orjson.dumps({"x": x.tolist()}), lambda answer: answer)


def real_input() -> Floats:
    """Model input (1000, len(RATING_FEATURES)) of the last matches that were played."""
    matches = load()
    known = compute_ratings(matches)
    return model_input(known.home, known.away, matches["neutral"].to_numpy(bool))[-1000:, : len(RATING_FEATURES)]


def names_to_documents(peer: Peer, world: World, body: bytes, seconds: float) -> float:
    """Batches of 1,000 a second that one caller of a peer gets, from names of clubs to documents as ours."""
    catalogue, predictor = Catalogue(world.lake), Predictor(_PeerRegistry(world.registry, peer), world.lake)
    catalogue.refresh()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        pairs = msgspec.json.decode(body, type=PairBatch).matches
        known = catalogue.snapshot.fixture_cache.find_all(pairs)
        fixtures = known or [catalogue.resolve_fixture(one.home_team, one.away_team, one.competition) for one in pairs]
        forecasts = EncodedForecasts.from_wire(predictor.predict(FixtureBatch.from_fixtures(fixtures)).forecasts)
        assert len(encode_batch(range(len(fixtures)), fixtures, forecasts, {})) > len(body)
        count += 1
    return count / (time.perf_counter() - began)


class _PeerRegistry:
    """Our registry, with a peer as the estimator of every version."""

    def __init__(self, registry: Registry, peer: Peer) -> None:
        self._registry, self._peer = registry, peer

    def by_alias(self, alias: str) -> ModelVersion | None:
        return self._registry.by_alias(alias)

    def versions(self) -> list[ModelVersion]:
        return self._registry.versions()

    def load(self, version: ModelVersion) -> LoadedModel:
        return replace(self._registry.load(version), estimator=self._peer)


def _mlflow_body(x: Floats) -> bytes:
    return orjson.dumps({"dataframe_split": {"columns": list(RATING_FEATURES), "data": x.tolist()}})


def _mlserver_body(x: Floats) -> bytes:
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP64", "data": x.ravel().tolist()}
    return orjson.dumps({"inputs": [tensor], "outputs": [{"name": "predict_proba"}]})


def _environment(folder: Path, name: str, *packages: str) -> Path:
    """An environment of a peer's own; raises CalledProcessError where it cannot be made."""
    where = folder / f"{name}-env"
    subprocess.run([BIN / "uv", "venv", "-q", "--python", sys.executable, where], check=True)
    python = where / "bin" / "python"
    same = f"scikit-learn=={sklearn.__version__}"
    subprocess.run([BIN / "uv", "pip", "install", "-q", "--python", python, same, *packages], check=True)
    return where / "bin"


def _exported(world: World, home: Path) -> Path:
    """The registered estimator as a file of joblib's, which is what these servers load."""
    home.mkdir(parents=True)
    version = world.registry.version(1)
    assert version is not None
    joblib.dump(world.registry.load(version).estimator, home / "model.joblib")
    return home


def _start(
    command: list[str], folder: Path, name: str, extra: Mapping[str, str] | None = None, at: Path = REPOSITORY
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(extra or {})}
    # They start their own helpers by name, and unpickle our estimator.
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    output = (folder / f"{name}.log").open("ab")
    return subprocess.Popen(command, env=environment, cwd=at, stdout=output, stderr=output, start_new_session=True)
