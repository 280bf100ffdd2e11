"""What the chart tells the processes exists in their settings, and what they can be told can be told in the chart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from orchestration.local.services import TELEMETRY_OFF, LocalSettings
from orchestration.settings import PipelineSettings
from serving.settings import ServingSettings
from serving.wire.queue import QUEUE
from ui.settings import UiSettings

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = json.loads((ROOT / "helm" / "values.schema.json").read_text())["$defs"]
PARTS: dict[str, type[BaseSettings]] = {
    "api": ServingSettings,
    "worker": ServingSettings,
    "dagster-code": PipelineSettings,
    "ui": UiSettings,
}
CHOICES = {ServingSettings: "servingSettings", PipelineSettings: "pipelineSettings", UiSettings: "uiSettings"}
# Variables that are not ours: of the object store's clients and of Dagster's configuration.
FOREIGN = re.compile(r"^(AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|DEFAULT_REGION)|DAGSTER_(PG_\w+|CURRENT_IMAGE))$")
VALUES = (
    'global={"asOf":"2026-03-13","lake":{"mode":"s3","url":"s3://b/lake","endpoint":"http://s3:9000","region":"r"},'
    '"existingSecrets":{"objectStorage":"touchline-object-storage","apiKeys":"k","uiApiKey":"u"}}',
)


def variables(settings: type[BaseSettings]) -> dict[str, str]:
    """Field of every variable that a settings class reads."""
    found = {}
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        names = (
            [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [f"TOUCHLINE_{name.upper()}"]
        )
        found.update(dict.fromkeys(names, name))
    return found


def environment(chart: Any, part: str) -> dict[str, Any]:
    """Variables of a Deployment's container."""
    things = chart.render(values=VALUES)
    deployment = next(
        one for one in things if one["kind"] == "Deployment" and one["metadata"]["name"] == f"touchline-{part}"
    )
    listed = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert len({one["name"] for one in listed}) == len(listed), "a variable is given twice"
    return {one["name"]: one.get("value") for one in listed}


def our_containers(things: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(object, Dockerfile target, container) of everything that runs one of our images, hooks included."""
    for thing in things:
        if thing["kind"] in {"Deployment", "StatefulSet", "Job", "Pod"}:
            spec = thing["spec"]["template"]["spec"] if thing["kind"] != "Pod" else thing["spec"]
            for container in spec["containers"]:
                if target := re.fullmatch(r"touchline-(\w+):.+", container["image"]):
                    yield thing["metadata"]["name"].removeprefix("touchline-"), target[1], container


def test_whatever_runs_our_images_is_told_only_what_it_reads(chart: Any) -> None:
    classes: dict[str, type[BaseSettings]] = {
        "serving": ServingSettings,
        "orchestration": PipelineSettings,
        "ui": UiSettings,
    }
    seen = set()
    for name, target, container in our_containers(chart.render(upgrade=True, values=VALUES)):
        seen.add(name)
        told = [one["name"] for one in container.get("env", [])]
        assert len(set(told)) == len(told), name
        known = variables(classes[target]).keys() if target in classes else set()
        unknown = {one for one in set(told) - known if not FOREIGN.match(one)}
        assert {one for one in unknown if not (target == "mlflow" and one.startswith("MLFLOW_"))} == set(), name
    assert seen == {
        *("api", "worker", "ui", "test", "mlflow", "mlflow-migration"),
        *("dagster-code", "dagster-daemon", "dagster-webserver", "dagster-migration"),
    }


def test_all_of_dagster_reaches_one_database(chart: Any) -> None:
    told = {
        name: {one["name"]: one for one in container["env"] if one["name"].startswith("DAGSTER_PG_")}
        for name, target, container in our_containers(chart.render(upgrade=True))
        if target == "orchestration"
    }
    assert len(told) == 4
    assert all(one == told["dagster-code"] and len(one) == 5 for one in told.values())
    mlflow = {
        name: next(one for one in container["env"] if one["name"] == "MLFLOW_BACKEND_STORE_URI")
        for name, target, container in our_containers(chart.render(upgrade=True))
        if target == "mlflow"
    }
    assert mlflow["mlflow"] == mlflow["mlflow-migration"]


def test_images_are_as_quiet_as_a_local_run_and_the_chart_does_not_unsay_it(chart: Any) -> None:
    (listed,) = re.findall(r"^ENV (PATH=.*?[^\\])\n(?! )", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    built = dict(re.findall(r"(\w+)=(\S+)", listed))
    local = {name: value for name, value in TELEMETRY_OFF.items() if name != "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"}
    assert local.items() <= built.items()
    assert not [name for name in built if name.startswith("TOUCHLINE_")]
    for name, _, container in our_containers(chart.render(upgrade=True)):
        again = {one["name"]: one.get("value") for one in container.get("env", []) if one["name"] in built}
        assert all(built[key] == value for key, value in again.items()), name


def camel(name: str) -> str:
    """A field's name in the values."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


@pytest.mark.parametrize("part", PARTS)
def test_every_variable_of_the_chart_is_a_setting_of_the_code(chart: Any, part: str) -> None:
    unknown = environment(chart, part).keys() - variables(PARTS[part]).keys()
    assert [name for name in unknown if not FOREIGN.match(name)] == []


@pytest.mark.parametrize("settings", CHOICES, ids=lambda one: one.__name__)
def test_every_setting_of_the_code_can_be_set_in_the_chart(chart: Any, settings: type[BaseSettings]) -> None:
    known = variables(settings)
    told = {
        known[name]
        for part, one in PARTS.items()
        if one is settings
        for name in environment(chart, part)
        if name in known
    }
    choices = DEFINITIONS[CHOICES[settings]]["properties"]
    nowhere = {camel(name) for name in settings.model_fields if name not in told} - choices.keys()
    # Only the pipeline draws random numbers; the chart's own dagster.yaml says where Dagster keeps its runs.
    meant = {ServingSettings: {"seed"}, PipelineSettings: {"dagsterStorageUrl"}}
    assert nowhere == meant.get(settings, set())
    assert choices.keys() <= {camel(name) for name in settings.model_fields}
    assert not choices.keys() & {camel(name) for name in told}, "a value would be given twice"


def test_every_setting_is_described_in_the_schema() -> None:
    for name in CHOICES.values():
        assert all(one["description"] for one in DEFINITIONS[name]["properties"].values())


def test_values_under_settings_arrive_as_the_code_reads_them(chart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    things = chart.render(
        values=(
            'api={"settings":{"maxBodyBytes":2000000,"shedAboveWaitSeconds":2.5,"corsOrigins":["https://a.example","https://b.example"]}}',
        )
    )
    api = next(one for one in things if one["kind"] == "Deployment" and one["metadata"]["name"] == "touchline-api")
    for one in api["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "value" in one:
            monkeypatch.setenv(one["name"], one["value"])
    settings = ServingSettings()
    assert (settings.max_body_bytes, settings.shed_above_wait_seconds) == (2_000_000, 2.5)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert (settings.api_host, settings.api_port) == ("0.0.0.0", 8000)
    assert settings.competitions == ("eng-premier-league",)
    assert settings.lake_root == "/lake"


def test_ports_are_those_of_the_code(chart: Any) -> None:
    things = chart.render()
    ports = {
        one["metadata"]["name"].removeprefix("touchline-"): one["spec"]["ports"][0]["port"]
        for one in things
        if one["kind"] == "Service"
    }
    local = LocalSettings.model_fields
    assert ports["api"] == ServingSettings.model_fields["api_port"].default == local["api_port"].default
    assert ports["ui"] == local["ui_port"].default
    assert ports["dagster-webserver"] == local["dagster_port"].default
    assert ports["mlflow"] == local["mlflow_port"].default
    worker = environment(chart, "worker")
    opened = next(
        one["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
        for one in things
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "touchline-worker"
    )
    assert worker["TOUCHLINE_WORKER_METRICS_PORT"] == str(opened)
    exposed = re.findall(r"^EXPOSE (.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert exposed == [
        f"{ports['api']} {opened}",
        f"{ports['dagster-webserver']} 3030",
        str(ports["ui"]),
        str(ports["mlflow"]),
    ]


def test_the_scaler_looks_at_the_queue_that_the_code_uses(chart: Any) -> None:
    scaled = next(one for one in chart.render() if one["kind"] == "ScaledObject")
    assert scaled["spec"]["triggers"][0]["metadata"]["queueName"] == QUEUE


def test_the_probes_name_the_file_that_the_worker_does_not_renew(chart: Any, tmp_path: Path) -> None:
    """The rendered commands are run on the files of a worker."""
    from serving.worker import heartbeat

    folder = environment(chart, "worker")["TOUCHLINE_HEARTBEAT_DIR"]
    worker = next(
        one for one in chart.render() if one["kind"] == "Deployment" and one["metadata"]["name"] == "touchline-worker"
    )
    container = worker["spec"]["template"]["spec"]["containers"][0]
    commands = {
        name: [part.replace(folder, str(tmp_path)) for part in container[f"{name}Probe"]["exec"]["command"]]
        for name in ("startup", "liveness", "readiness")
    }

    def output(name: str) -> str:
        """What a probe prints; nothing if it succeeds."""
        probe = subprocess.run(commands[name], capture_output=True, text=True, timeout=10)
        assert not probe.stderr
        assert (probe.returncode == 0) is (probe.stdout == "")
        return probe.stdout

    assert [output(name) for name in commands] == [
        "the worker has not started yet\n",
        "the worker's main process has not renewed its file for two minutes\n",
        "not connected to the broker\n",
    ]
    heartbeat.renew(tmp_path, heartbeat.ALIVE)
    heartbeat.renew(tmp_path, heartbeat.CONNECTED)
    assert [output(name) for name in commands] == ["", "", "no model loaded: is there a version in production yet?\n"]
    heartbeat.renew(tmp_path, heartbeat.MODEL)
    assert [output(name) for name in commands] == ["", "", ""]
    for file in tmp_path.iterdir():
        os.utime(file, (time.time() - 130, time.time() - 130))
    assert output("liveness")
    assert output("readiness") == "not connected to the broker\n"
    assert heartbeat.INTERVAL_SECONDS * 2 < 30


def test_mlflow_reads_its_variables(chart: Any) -> None:
    from mlflow import cli, environment_variables

    known = {name for parameter in cli.server.params for name in [parameter.envvar] if name}
    known |= {name for name in vars(environment_variables) if name.startswith("MLFLOW_")}
    told = {name for name in environment(chart, "mlflow") if name.startswith("MLFLOW_")}
    assert told <= known


def test_images_hold_what_their_process_imports() -> None:
    """Each target copies the packages of ours that its process may import, and no other."""
    text = (ROOT / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM base AS (\w+)\n(.*?)(?=^FROM |\Z)", text, re.M | re.S))
    copied = {name: set(re.findall(r"^COPY (\w+) \1$", body, re.M)) for name, body in stages.items()}
    assert copied["serving"] == {"features", "monitoring", "serving"}
    assert copied["orchestration"] == {"features", "monitoring", "orchestration"}
    assert copied["ui"] == {"ui"}
    assert copied["mlflow"] == set()
    installs = re.findall(r"pip install (.*)", text)
    assert len(installs) == 5
    assert all("--require-hashes" in one for one in installs)
    extras = re.findall(r"^FROM build AS build-(\w+)\nRUN .*? --extra (\S+) -c requirements.lock ", text, re.M)
    assert extras == [(name, name) for name in ("serving", "orchestration", "ui", "mlflow")]
    for name, body in stages.items():
        if name != "build":
            assert f"COPY --from=build-{name} /opt/venv /opt/venv" in body
            assert "USER 10001:10001" in body
            assert "image.revision" in body


def test_what_an_image_starts_is_the_first_process_and_gets_the_signals() -> None:
    """Exec form: in the other one a shell would be told to stop, and would tell nobody."""
    starts = re.findall(r"^(?:ENTRYPOINT|CMD) (.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert len(starts) == 7
    assert all(isinstance(json.loads(one), list) for one in starts)
    assert not {json.loads(one)[0] for one in starts} & {"sh", "bash", "/bin/sh"}


def test_images_chart_and_package_bear_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = re.findall(r"^ARG VERSION=(\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
    chart = yaml.safe_load((ROOT / "helm" / "Chart.yaml").read_text())
    assert versions == [project["version"]] * 4
    assert chart["appVersion"] == project["version"]
