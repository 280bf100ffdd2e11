"""Variables that were set for other programs do not steer our libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest

from features.errors import InvalidInputError
from features.io.environment import keep_compiled_modules, prepare_environment, remove_foreign_variables
from features.io.registry import Registry

FOREIGN = (
    *("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"),
    *("MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_RUN_CONTEXT", "MLFLOW_PORT", "MLFLOW_WORKERS", "MLFLOW_STATIC_PREFIX"),
    *("MLFLOW_DEFAULT_ARTIFACT_ROOT", "MLFLOW_ENABLE_ASYNC_LOGGING", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"),
    *("UVICORN_PORT", "GUNICORN_CMD_ARGS", "STREAMLIT_SERVER_PORT", "STREAMLIT_SERVER_BASE_URL_PATH"),
    *("OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
    *("PYTHONOPTIMIZE", "OTEL_PROPAGATORS", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    *(
        "DAGSTER_autoload_defs_module_name",
        "DAGSTER_MODULE_NAME",
        "DAGSTER_PYTHON_FILE",
        "DAGSTER_GRPC_PORT",
        "DAGSTER_WEBSERVER_PATH_PREFIX",
    ),
)
KEPT = (
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_S3_ENDPOINT_URL"),
    *("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_HTTP_REQUEST_TIMEOUT"),
    *("MLFLOW_SERVER_ALLOWED_HOSTS", "STREAMLIT_BROWSER_GATHER_USAGE_STATS", "DAGSTER_HOME", "DAGSTER_PG_PASSWORD"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
    *("DAGSTER_DISABLE_TELEMETRY", "AWS_ACCESS_KEY_ID", "TOUCHLINE_MLFLOW_PORT", "MY_MLFLOW_RUN_ID"),
)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Undo what a test does to the environment."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_only_variables_that_steer_libraries_are_removed() -> None:
    remove_foreign_variables()
    os.environ.update(dict.fromkeys([*FOREIGN, *KEPT], "x"))
    assert remove_foreign_variables() == sorted(FOREIGN)
    assert not os.environ.keys() & set(FOREIGN)
    assert os.environ.keys() >= set(KEPT)


def test_child_processes_keep_their_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, each process of a local run would compile its libraries again."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "some_module.py").write_text("")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-c", "import some_module"]
    for is_kept in (False, True):
        if is_kept:
            keep_compiled_modules()
        subprocess.run(command, cwd=tmp_path, check=True)
        assert (tmp_path / "__pycache__").exists() is is_kept
    assert not sys.dont_write_bytecode


DAGSTER_PROGRAM = """
import os
from orchestration.definitions import defs
names = ("MLFLOW_RUN_ID", "WEB_CONCURRENCY", "NETRC", "NO_PROXY")
print(*(os.environ.get(name, "unset") for name in names), len(defs.assets) > 0)
"""


def test_dagsters_code_location_prepares_its_environment(repository: Path, tmp_path: Path) -> None:
    """Also where Dagster is started alone: the import of its definitions is the entry point of its processes."""
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    foreign = {"MLFLOW_RUN_ID": "0" * 32, "WEB_CONCURRENCY": "3", "TOUCHLINE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", DAGSTER_PROGRAM]
    prepared = subprocess.run(command, env=clean | foreign, cwd=repository, text=True, capture_output=True)
    assert prepared.stdout.split() == ["unset", "unset", os.devnull, "127.0.0.1,localhost,::1", "True"], prepared.stderr
    foreign["SSL_CERT_FILE"] = str(tmp_path / "missing.pem")
    refused = subprocess.run(command, env=clean | foreign, cwd=repository, text=True, capture_output=True)
    assert refused.returncode == 1
    assert "SSL_CERT_FILE=" in refused.stderr.splitlines()[-1]


def test_training_is_not_logged_to_a_run_of_another_project(tmp_path: Path) -> None:
    """A run id, an experiment and a server of others: our run lands in our own registry, under our own name."""
    os.environ.update(MLFLOW_RUN_ID="0" * 32, MLFLOW_EXPERIMENT_ID="7", MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db")
    import mlflow

    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_experiment("ours")
    with mlflow.start_run() as run:
        assert run.info.run_id != "0" * 32
    found = mlflow.get_experiment_by_name("ours")
    assert found is not None
    assert run.info.experiment_id == found.experiment_id


class _Proxy(ThreadingHTTPServer):
    """A proxy that refuses, and notes who asked it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Refusal)


class _Refusal(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Proxy)
        self.server.asked.append(self.path)
        self.send_error(502)

    def log_message(self, *_: object) -> None:
        """Write nothing to standard error."""


class _Site(BaseHTTPRequestHandler):
    """Answers with the credentials that it was sent."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers.get("Authorization", "none").encode())

    def log_message(self, *_: object) -> None:
        """Write nothing to standard error."""


@pytest.fixture
def proxy() -> Iterator[_Proxy]:
    with _Proxy() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


PROGRAM = """
import sys, urllib.request
import httpx, requests
from features.io.environment import prepare_environment
prepare_environment()
address = sys.argv[1]
print(httpx.get(address).status_code, requests.get(address).status_code, urllib.request.urlopen(address).status)
print(httpx.get("http://source.example/").status_code, requests.get("http://source.example/").status_code)
"""


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_our_services_are_asked_directly_and_others_by_proxy(
    repository: Path, proxy: _Proxy, site: str, spelling: type[str]
) -> None:
    """With each of the libraries that we use; hosts that the environment excludes stay excluded."""
    address = f"http://127.0.0.1:{proxy.server_address[1]}"
    names = {spelling("http_proxy"): address, spelling("all_proxy"): address, spelling("no_proxy"): "other.example"}
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, site], env={**clean, **names}, cwd=repository, text=True, capture_output=True
    )
    assert output.stdout.split() == ["200", "200", "200", "502", "502"], output.stderr
    assert proxy.asked == ["http://source.example/"] * 2


NETRC_PROGRAM = """
import sys, requests
from features.io.environment import prepare_environment
if sys.argv[2:]:
    prepare_environment()
print(requests.get(sys.argv[1], headers={"Authorization": "Bearer ours"}).text)
"""


@pytest.mark.parametrize("name", ["HOME", "NETRC"])
def test_passwords_of_netrc_do_not_replace_our_credentials(
    repository: Path, tmp_path: Path, site: str, name: str
) -> None:
    """requests, with which MLflow's client calls its server, prefers an entry of ~/.netrc to a given header."""
    file = tmp_path / ".netrc"
    file.write_text("default login ada password secret\n")
    file.chmod(0o600)
    inherited = {key: value for key, value in os.environ.items() if key != "NETRC"}  # our own tests set it, too
    environment = {**inherited, name: str(tmp_path if name == "HOME" else file)}
    for arguments, sent in (((), "Basic "), (("prepared",), "Bearer ours")):
        command = [sys.executable, "-c", NETRC_PROGRAM, site, *arguments]
        output = subprocess.run(command, env=environment, cwd=repository, text=True, capture_output=True, check=True)
        assert output.stdout.startswith(sent)


SPANS_PROGRAM = """
from serving.settings import read_settings
from serving.telemetry import tracing
tracing.configure(read_settings().otlp_endpoint, "api")
with tracing.span("a request") as context:
    print(*context)
"""


def test_spans_are_made_whatever_other_projects_set(repository: Path, tmp_path: Path) -> None:
    """Each of these would end the process, or spans."""
    foreign = {
        "OTEL_EXPORTER_OTLP_COMPRESSION": "zip", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many", "OTEL_SDK_DISABLED": "true",
        "OTEL_TRACES_SAMPLER": "always_off", "OTEL_PROPAGATORS": "nothing",
    }  # fmt: skip
    ours = {"TOUCHLINE_OTLP_ENDPOINT": "http://127.0.0.1:1", "TOUCHLINE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", SPANS_PROGRAM]
    output = subprocess.run(
        command, env={**os.environ, **foreign, **ours}, cwd=repository, text=True, capture_output=True
    )
    assert output.stdout.split() == ["traceparent"], output.stderr


def test_excluded_hosts_of_the_environment_stay_excluded() -> None:
    os.environ.update(no_proxy="a.example", NO_PROXY="b.example, localhost")
    prepare_environment()
    for name in ("no_proxy", "NO_PROXY"):
        assert os.environ[name].split(",") == ["a.example", "b.example", "localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_cannot_be_read_are_refused(name: str, tmp_path: Path) -> None:
    os.environ[name] = str(tmp_path / "missing")
    with pytest.raises(InvalidInputError, match=rf"^{name}=.*missing' cannot be used: .*; correct or unset it$"):
        prepare_environment()
    (tmp_path / "missing").write_text("no certificate")
    with pytest.raises(InvalidInputError, match=rf"^{name}="):
        prepare_environment()
    os.environ[name] = str(tmp_path) if name == "SSL_CERT_DIR" else certifi.where()
    prepare_environment()


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "orchestration.local.cli", "up"],
        ["-m", "orchestration.local.dagster_dev", "-w", "workspace.yaml"],
        ["-m", "serving.api"],
        ["-m", "serving.worker"],
    ],
)
def test_a_process_ends_with_one_sentence_about_certificates(
    repository: Path, tmp_path: Path, command: list[str]
) -> None:
    environment = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "missing.pem"), "TOUCHLINE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *command], env=environment, cwd=repository, text=True, capture_output=True, timeout=300
    )
    assert ended.returncode not in {0, None}
    (line,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert "SSL_CERT_FILE=" in line
    assert line.endswith("correct or unset it")
