"""Dagster itself reads the rendered dagster.yaml, and makes hardened run pods and step pods of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.test_utils import environ
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_k8s.launcher import K8sRunLauncher
from kubernetes.client import ApiClient

Thing = dict[str, Any]
DATABASE = {f"DAGSTER_PG_{name}": "1" for name in ("HOST", "PORT", "DB", "USER", "PASSWORD")}
S3 = (
    'global={"lake":{"mode":"s3","url":"s3://b/lake"},"existingSecrets":{"objectStorage":"touchline-object-storage"},'
    '"tolerations":[{"key":"batch","operator":"Exists"}],"nodeSelector":{"pool":"batch"}}',
)


def instance(chart: Any, **options: Any) -> Thing:
    """The rendered dagster.yaml."""
    config = next(one for one in chart.render(**options) if one["metadata"]["name"] == "touchline-dagster-instance")
    return dict(yaml.safe_load(config["data"]["dagster.yaml"]))


def errors(config: Thing) -> list[str]:
    """What Dagster's schemas of the instance, of its storage and of its run launcher say."""
    from dagster_postgres.storage import DagsterPostgresStorage

    checked = process_config(dagster_instance_config_schema(), config)
    found = [error.message for error in checked.errors or []]
    parts = [
        (K8sRunLauncher.config_type(), config["run_launcher"]["config"]),
        (DagsterPostgresStorage.config_type(), config["storage"]["postgres"]),
    ]
    for schema, value in parts:
        found += [error.message for error in process_config(schema, value).errors or []]
    return found


@pytest.fixture(autouse=True)
def _database() -> Iterator[None]:
    with environ(DATABASE):
        yield


@pytest.mark.parametrize("profile", ["values.yaml", "values-dev.yaml", "values-production.yaml"])
def test_dagster_accepts_its_configuration(chart: Any, profile: str) -> None:
    assert errors(instance(chart, profile=profile)) == []


@pytest.mark.parametrize(
    "path",
    [("telemetri",), ("run_launcher", "config", "service_account"), ("storage", "postgres", "postgres_db", "host")],
)
def test_a_misspelt_key_is_noticed(chart: Any, path: tuple[str, ...]) -> None:
    config = copy.deepcopy(instance(chart))
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = "x"
    assert errors(config)


def job(chart: Any, component: str, **options: Any) -> Thing:
    """The Job that the run launcher, or a step of k8s_job_executor, would send to Kubernetes."""
    config = instance(chart, **options)["run_launcher"]["config"]
    context = K8sContainerContext(
        namespace=config["job_namespace"],
        service_account_name=config["service_account_name"],
        image_pull_policy=config["image_pull_policy"],
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"]),
    )
    made = construct_dagster_k8s_job(
        job_config=DagsterK8sJobConfig(
            job_image="touchline-orchestration:0.1.0",
            dagster_home="/opt/dagster/dagster_home",
            instance_config_map=config["instance_config_map"],
            image_pull_policy=config["image_pull_policy"],
            service_account_name=config["service_account_name"],
        ),
        args=["dagster", "api", "execute_run"],
        job_name="run",
        user_defined_k8s_config=context.run_k8s_config,
        component=component,
    )
    return dict(ApiClient().sanitize_for_serialization(made))


@pytest.mark.parametrize("component", ["run_worker", "step_worker"])
@pytest.mark.parametrize("options", [{}, {"values": S3}, {"profile": "values-production.yaml"}], ids=str)
def test_run_pods_are_valid_and_hardened(chart: Any, component: str, options: Thing) -> None:
    made = job(chart, component, **options)
    kubernetes_validate.validate(made, "1.34", strict=True)
    template = made["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    assert pod["serviceAccountName"] == "touchline-dagster"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"] == {"memory": "3Gi"}
    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "dagster-run"
    assert made["spec"]["ttlSecondsAfterFinished"] == 86400


def test_run_pods_find_the_lake_the_registry_and_the_database(chart: Any) -> None:
    for options in ({}, {"values": S3}):
        pod = job(chart, "run_worker", **options)["spec"]["template"]["spec"]
        container = pod["containers"][0]
        names = [one["name"] for one in container["env"]]
        assert {"TOUCHLINE_LAKE", "TOUCHLINE_MLFLOW_TRACKING_URI", "DAGSTER_PG_PASSWORD"} <= set(names)
        mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        volumes = {one["name"] for one in pod["volumes"]}
        assert mounts.keys() <= volumes
        assert ("lake" in mounts) is not bool(options)
        assert ("AWS_SECRET_ACCESS_KEY" in names) is bool(options)
        assert mounts["tmp"] == "/tmp"
        if options:
            assert pod["nodeSelector"] == {"pool": "batch"}
            assert pod["tolerations"] == [{"key": "batch", "operator": "Exists"}]


@pytest.mark.parametrize("lake", [(), S3], ids=["lake on a volume", "lake on S3"])
def test_the_users_own_matches_reach_code_server_and_run_pods(chart: Any, lake: tuple[str, ...]) -> None:
    volume = {"name": "mine", "persistentVolumeClaim": {"claimName": "my-matches"}}
    mount = {"name": "mine", "mountPath": "/mine", "readOnly": True}
    given = {"extraVolumes": [volume], "extraVolumeMounts": [mount], "settings": {"files": "/mine"}}
    options = {"values": (*lake, f"dagster={json.dumps(given)}", 'global.source="files"')}
    made = job(chart, "run_worker", **options)
    kubernetes_validate.validate(made, "1.34", strict=True)
    code = next(
        one
        for one in chart.render(**options)
        if one["metadata"]["name"] == "touchline-dagster-code" and one["kind"] == "Deployment"
    )
    for pod in (made["spec"]["template"]["spec"], code["spec"]["template"]["spec"]):
        assert volume in pod["volumes"]
        assert mount in pod["containers"][0]["volumeMounts"]
        told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert (told["TOUCHLINE_SOURCE"], told["TOUCHLINE_FILES"]) == ("files", "/mine")


def test_a_volume_of_one_node_draws_run_pods_to_the_other_users_of_it(chart: Any) -> None:
    pod = job(chart, "run_worker")["spec"]["template"]
    term = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert "affinity" not in job(chart, "run_worker", values=S3)["spec"]["template"]["spec"]


def test_the_code_server_runs_the_same_environment_as_the_run_pods(chart: Any) -> None:
    code = next(
        one
        for one in chart.render()
        if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("dagster-code")
    )
    server = code["spec"]["template"]["spec"]["containers"][0]["env"]
    run = instance(chart)["run_launcher"]["config"]["run_k8s_config"]["container_config"]["env"]
    assert [one for one in server if one["name"] != "DAGSTER_CURRENT_IMAGE"] == run


def test_pools_are_limited_as_in_a_local_run(chart: Any, repository: Path) -> None:
    local = yaml.safe_load((repository / "orchestration/local/dagster.yaml").read_text())
    assert instance(chart)["concurrency"]["pools"] == local["concurrency"]["pools"]
