"""The chart lints strictly, and all that it renders is accepted by the schemas of Kubernetes and of the operators."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.chart import VARIANTS

CHART = Path(__file__).resolve().parents[2] / "helm"
PROFILES = sorted(path.name for path in CHART.glob("values*.yaml"))
VERSIONS = ("1.31", "1.34", "1.37")
QUANTITY = re.compile(r"^\d+(\.\d+)?(m|[kMGTPE]i?)?$")
# Fields whose values Kubernetes' JSON schemas leave open.
CHOICES = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "protocol": {"TCP", "UDP", "amqp"},
    "whenUnsatisfiable": {"ScheduleAnyway", "DoNotSchedule"},
    "pathType": {"Prefix", "Exact"},
    "podManagementPolicy": {"Parallel", "OrderedReady"},
    "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
    "unhealthyPodEvictionPolicy": {"AlwaysAllow", "IfHealthyBudget"},
    "fsGroupChangePolicy": {"OnRootMismatch", "Always"},
}


def schema_errors(thing: dict[str, Any], kubernetes: str, extensions: dict[str, dict[str, Any]]) -> list[str]:
    """Why Kubernetes, or the operator whose kind it is, would refuse an object."""
    try:
        kubernetes_validate.validate(thing, kubernetes, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        schema = extensions.get(f"{thing['kind']}.{thing['apiVersion']}")
        if schema is None:
            return [f"{thing['kind']} of {thing['apiVersion']} is not known"]
        return [str(error.message) for error in jsonschema.Draft7Validator(schema).iter_errors(thing)]
    except kubernetes_validate.ValidationError as error:
        return [f"{thing['kind']} {thing['metadata']['name']}: {error.message}"]
    return []


def walk(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every (path, key, value) below a node."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield path, key, value
            yield from walk(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)


def value_errors(thing: dict[str, Any]) -> list[str]:
    """Values outside Kubernetes' enumerations and quantities."""
    found = []
    for path, key, value in walk(thing):
        if isinstance(value, str) and value not in CHOICES.get(key, {value}):
            found.append(f"{path}.{key}: {value}")
        if path.endswith((".requests", ".limits")) and not QUANTITY.match(str(value)):
            found.append(f"{path}.{key}: {value} is no quantity")
    return found


@pytest.fixture(scope="session")
def extensions(shared: Path) -> dict[str, dict[str, Any]]:
    """Schemas of the operators' kinds, by kind and version."""
    found = {}
    for path in (shared / "crd-schemas").glob("*.json"):
        schema = json.loads(path.read_text())
        kind, api = (schema["properties"][name]["const"] for name in ("kind", "apiVersion"))
        found[f"{kind}.{api}"] = schema
    return found


def test_the_chart_and_each_part_alone_lint_strictly(chart: Any) -> None:
    for profile in PROFILES:
        told = chart.run("lint", "--strict", "--with-subcharts", str(CHART), "-f", str(CHART / profile))
        assert "0 chart(s) failed" in told


def test_all_parts_bear_one_version(chart: Any) -> None:
    charts = [yaml.safe_load(path.read_text()) for path in [CHART / "Chart.yaml", *CHART.glob("charts/*/Chart.yaml")]]
    assert len({(one["version"], one["appVersion"]) for one in charts}) == 1
    assert not any(one.get("repository") for chart in charts for one in chart.get("dependencies", [])), "all are local"
    declared = {one["name"] for one in charts[0]["dependencies"]}
    assert declared == {path.name for path in (CHART / "charts").iterdir()}


def test_a_package_renders_like_the_folder(chart: Any, tmp_path: Path) -> None:
    chart.run("package", str(CHART), "-d", str(tmp_path))
    packaged = chart.run("template", "touchline", str(next(tmp_path.glob("*.tgz"))))
    assert packaged.count("\nkind:") == chart.run("template", "touchline", str(CHART)).count("\nkind:")


@pytest.mark.parametrize("operators", [True, False], ids=["with operators", "without operators"])
@pytest.mark.parametrize("kubernetes", VERSIONS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_accepted_everywhere(
    chart: Any, extensions: dict[str, dict[str, Any]], profile: str, kubernetes: str, operators: bool
) -> None:
    things = chart.render(profile, kubernetes, operators, upgrade=True)
    assert [error for thing in things for error in schema_errors(thing, kubernetes, extensions)] == []
    assert [error for thing in things for error in value_errors(thing)] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_accepted_too(chart: Any, extensions: dict[str, dict[str, Any]], variant: str) -> None:
    things = chart.render(upgrade=True, values=VARIANTS[variant])
    assert [error for thing in things for error in schema_errors(thing, "1.34", extensions)] == []
    assert [error for thing in things for error in value_errors(thing)] == []


def test_a_long_release_name_keeps_all_names_apart_and_short(chart: Any, extensions: dict[str, dict[str, Any]]) -> None:
    """The longest that helm takes; nothing gets the name of something else by being cut."""
    for profile in ("values.yaml", "values-production.yaml"):
        things = chart.render(profile, upgrade=True, release="r" * 53)
        names = [(thing["kind"], thing["metadata"]["name"]) for thing in things]
        assert len(set(names)) == len(names) == len(chart.render(profile, upgrade=True))
        assert max(len(name) for _, name in names) <= 52
        assert [error for thing in things for error in schema_errors(thing, "1.34", extensions)] == []


def twins(things: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Names that more than one object of a kind has."""
    names = Counter((thing["apiVersion"], thing["kind"], thing["metadata"]["name"]) for thing in things)
    return [name for name, count in names.items() if count > 1]


def test_no_two_objects_share_a_name(objects: list[dict[str, Any]]) -> None:
    assert twins(objects) == []
    assert twins([*objects, objects[0]]) != []


def test_without_their_operators_no_objects_of_theirs_are_made_by_default(chart: Any) -> None:
    kinds = {thing["kind"] for thing in chart.render(operators=False)}
    assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "RabbitmqCluster", "Cluster"}
    assert "HorizontalPodAutoscaler" in kinds


def test_a_misspelt_field_of_an_object_is_noticed(
    plain: list[dict[str, Any]], extensions: dict[str, dict[str, Any]]
) -> None:
    deployment = next(thing for thing in plain if thing["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["teminationGracePeriodSeconds"] = 1
    assert schema_errors(deployment, "1.34", extensions)
    scaled = next(thing for thing in plain if thing["kind"] == "ScaledObject")
    scaled["spec"]["triggers"][0]["metadata"]["value"] = 5
    assert schema_errors(scaled, "1.34", extensions)
    assert schema_errors({**scaled, "kind": "ScaledThing"}, "1.34", extensions)


def test_a_wrong_choice_or_quantity_is_noticed(plain: list[dict[str, Any]]) -> None:
    deployment = next(thing for thing in plain if thing["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["imagePullPolicy"] = "Sometimes"
    container["resources"]["limits"]["memory"] = "1 Gigabyte"
    assert len(value_errors(deployment)) == 2


def test_the_dockerfile_lints(require: Any) -> None:
    import shutil
    import sys

    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    require(hadolint, "hadolint is not installed")
    done = subprocess.run([str(hadolint), str(CHART.parent / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
