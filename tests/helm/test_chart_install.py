"""What an installation gets: the defaults, one scaler for the workers, ordered hooks, ingress, notes that are true."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestration.definitions import build
from orchestration.local.cli import build_parser
from orchestration.settings import PipelineSettings
from serving.api.app import create_app
from serving.settings import ServingSettings
from tests.support.chart import EXTERNAL

CHART = Path(__file__).resolve().parents[2] / "helm"
Thing = dict[str, Any]


def scalers(things: list[Thing], name: str) -> list[tuple[str, int]]:
    """(kind, fewest pods) of what scales a Deployment."""
    return [
        (one["kind"], one["spec"].get("minReplicas") or one["spec"]["minReplicaCount"])
        for one in things
        if one["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"} and one["spec"]["scaleTargetRef"]["name"] == name
    ]


def named(things: list[Thing], kind: str, name: str) -> Thing:
    """One object."""
    return next(one for one in things if one["kind"] == kind and one["metadata"]["name"] == name)


def test_default_numbers_of_pods(chart: Any) -> None:
    """By default two api pods two workers and three broker nodes with quorum queues."""
    things = chart.render()
    assert scalers(things, "touchline-api") == [("HorizontalPodAutoscaler", 2)]
    assert scalers(things, "touchline-worker") == [("ScaledObject", 2)]
    assert named(things, "StatefulSet", "touchline-rabbitmq")["spec"]["replicas"] == 3
    settings = named(things, "ConfigMap", "touchline-rabbitmq")["data"]["rabbitmq.conf"]
    assert "default_queue_type = quorum" in settings


@pytest.mark.parametrize("mode", ["statefulset", "operator"])
def test_queues_get_a_member_on_every_node_of_the_broker(chart: Any, mode: str) -> None:
    """Also a queue that was declared when a single node was up, and after more nodes were added."""
    things = chart.render(values=(f'rabbitmq={{"mode":"{mode}","replicas":5}}',))
    if mode == "statefulset":
        conf = named(things, "ConfigMap", "touchline-rabbitmq")["data"]["rabbitmq.conf"]
    else:
        conf = named(things, "RabbitmqCluster", "touchline-rabbitmq")["spec"]["rabbitmq"]["additionalConfig"]
    settings = dict(line.split(" = ") for line in conf.splitlines() if " = " in line)
    reconciliation = "quorum_queue.continuous_membership_reconciliation"
    assert settings[f"{reconciliation}.enabled"] == "true"
    assert settings[f"{reconciliation}.target_group_size"] == "5"
    assert int(settings[f"{reconciliation}.interval"]) <= 60_000, "milliseconds"


@pytest.mark.parametrize(
    ("mode", "keda", "kinds"),
    [
        ("auto", True, ["ScaledObject"]),
        ("auto", False, ["HorizontalPodAutoscaler"]),
        ("keda", True, ["ScaledObject"]),
        ("hpa", True, ["HorizontalPodAutoscaler"]),
        ("none", True, []),
    ],
)
def test_workers_scale_on_the_queue_and_without_keda_on_their_cpu(
    chart: Any, mode: str, keda: bool, kinds: list[str]
) -> None:
    things = chart.render(operators=keda, values=(f'worker={{"autoscaling":{{"mode":"{mode}"}}}}',))
    assert [kind for kind, _ in scalers(things, "touchline-worker")] == kinds
    assert ("replicas" in named(things, "Deployment", "touchline-worker")["spec"]) is (not kinds)
    assert ("TriggerAuthentication" in {one["kind"] for one in things}) is (kinds == ["ScaledObject"])


def test_migrations_run_in_order_before_an_upgrade_only(chart: Any) -> None:
    """Migrations run before an upgrade one after the other and not at the first installation."""

    def hooks(upgrade: bool, *values: str) -> list[tuple[int, str, str]]:
        return sorted(
            (int(notes["helm.sh/hook-weight"]), notes["helm.sh/hook"], one["metadata"]["name"])
            for one in chart.render(upgrade=upgrade, values=values)
            if one["kind"] == "Job" and (notes := one["metadata"]["annotations"])
        )

    assert hooks(upgrade=False) == []
    assert hooks(upgrade=True) == [
        (1, "pre-upgrade", "touchline-mlflow-migration"),
        (2, "pre-upgrade", "touchline-dagster-migration"),
    ]
    assert hooks(False, "global.alwaysMigrate=true") == hooks(upgrade=True)  # tools that only render


def test_what_is_history_outlives_the_release(chart: Any) -> None:
    things = chart.render()
    claims = {one["metadata"]["name"]: one["metadata"]["annotations"] for one in things
              if one["kind"] == "PersistentVolumeClaim"}  # fmt: skip
    assert claims.keys() == {"touchline-lake", "touchline-mlflow"}
    assert all(notes["helm.sh/resource-policy"] == "keep" for notes in claims.values())
    for name in ("touchline-postgresql", "touchline-rabbitmq"):
        kept = named(things, "StatefulSet", name)["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert set(kept.values()) == {"Retain"}


def test_the_credentials_of_kept_data_are_kept(chart: Any) -> None:
    """Otherwise a second installation would generate others, and the data of the first would refuse them."""

    def policies(*values: str) -> dict[str, str | None]:
        secrets = [thing["metadata"] for thing in chart.render(values=values) if thing["kind"] == "Secret"]
        return {secret["name"]: (secret.get("annotations") or {}).get("helm.sh/resource-policy") for secret in secrets}

    bundled = policies()
    assert set(bundled) == {
        f"touchline-{name}" for name in ("broker", "results", "postgresql", "dagster-database", "mlflow-database")
    }
    assert set(bundled.values()) == {"keep"}
    assert set(policies(*EXTERNAL).values()) == {None}


HOSTS = ",".join(f'"{part}":{{"host":"{part}.example"}}' for part in ("api", "ui", "dagster"))
MLFLOW_HOST = 'mlflow={"ingressHost":"mlflow.example"}'
INGRESS = (f'ingress={{"enabled":true,{HOSTS}}}', MLFLOW_HOST)


def test_an_ingress_leads_each_host_to_its_service(chart: Any) -> None:
    things = chart.render(values=INGRESS)
    services = {thing["metadata"]["name"]: thing["spec"]["ports"] for thing in things if thing["kind"] == "Service"}
    services_of_host: dict[str, set[str]] = {}
    for thing in things:
        if thing["kind"] == "Ingress":
            for rule in thing["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    service = path["backend"]["service"]
                    assert service["port"]["number"] in {port["port"] for port in services[service["name"]]}
                    services_of_host.setdefault(rule["host"], set()).add(service["name"])
    assert services_of_host == {
        "api.example": {"touchline-api"},
        "ui.example": {"touchline-ui"},
        "dagster.example": {"touchline-dagster-webserver"},
        "mlflow.example": {"touchline-mlflow"},
    }
    assert not [thing for thing in chart.render() if thing["kind"] == "Ingress"]


@pytest.mark.parametrize("value", ['ingress.api.host="a.example"', 'mlflow.ingressHost="a.example"'])
def test_a_host_alone_makes_an_ingress(chart: Any, value: str) -> None:
    """Its network edge too; `ingress.enabled=false` keeps hosts for later."""

    def exposed(*values: str) -> int:
        things = chart.render(values=values)
        controllers = str([thing for thing in things if thing["kind"] == "NetworkPolicy"]).count("ingress-nginx")
        assert controllers == len([thing for thing in things if thing["kind"] == "Ingress"])
        return controllers

    assert exposed(value) == 1
    assert exposed(value, "ingress.enabled=false") == 0


def test_a_login_can_be_put_before_one_host_alone(chart: Any) -> None:
    value = (
        'ingress={"enabled":true,"annotations":{"all":"a","one":"a"},"api":{"host":"api.example"},'
        '"dagster":{"host":"dagster.example","annotations":{"login":"l","one":"d"}}}'
    )
    things = chart.render(values=(value,))
    told = {
        name: named(things, "Ingress", f"touchline-{name}")["metadata"]["annotations"] for name in ("api", "dagster")
    }
    assert told == {"api": {"all": "a", "one": "a"}, "dagster": {"all": "a", "one": "d", "login": "l"}}


def test_ingress_exposes_every_api_path_except_metrics(chart: Any) -> None:
    """Every path of the api is reachable from outside but its metrics."""
    things = chart.render(values=INGRESS)
    rules = named(things, "Ingress", "touchline-api")["spec"]["rules"]
    prefixes = tuple(path["path"] for path in rules[0]["http"]["paths"])
    application = create_app(ServingSettings())
    paths = {*application.openapi()["paths"], "/docs", "/docs/assets", application.openapi_url}
    assert {path for path in paths if not path.startswith(prefixes)} <= {"/metrics"}
    assert not any("/metrics".startswith(prefix) for prefix in prefixes)


def notes(chart: Any, *values: str) -> str:
    """What `helm install` tells."""
    given = [argument for value in values for argument in ("--set-json", value)]
    told = chart.run("install", "touchline", str(CHART), "-n", "football", "--dry-run=client", *given)
    return str(told.partition("NOTES:")[2])


def test_the_notes_name_what_exists(chart: Any) -> None:
    things = {(one["kind"].lower(), one["metadata"]["name"]) for one in chart.render()}
    told = notes(chart)
    forwards = re.findall(r"port-forward svc/(\S+) (\d+):(\d+)", told)
    forwarded = {f"touchline-{part}" for part in ("dagster-webserver", "api", "ui", "mlflow")}
    assert {name for name, _, _ in forwards} == forwarded
    assert all(("service", name) in things for name, _, _ in forwards)
    assert all(("deployment", name) in things for name in re.findall(r"deployment/(\S+)", told))
    jobs = {job.name for job in build(PipelineSettings()).jobs or []}
    launched = re.findall(r"touchline launch (.+)", told)
    assert [command.split()[0] for command in launched] == ["refresh_matches", "train_model"]
    assert {command.split()[0] for command in launched} <= jobs
    assert {build_parser().parse_args(["launch", *command.split(" #")[0].split()]).dagster for command in launched} == {
        "http://127.0.0.1:3000"
    }
    assert "touchline launch" not in notes(chart, "dagster.runFirstPipeline=true")


@pytest.mark.parametrize("name", ["aliases", "formats"])
def test_the_notes_say_what_the_pipeline_is_told_and_the_api_is_not(chart: Any, name: str) -> None:
    """Without the same file, the API would refuse names, and offer matches, that the pipeline would not."""
    pipeline, api = (f'{part}.settings.{name}="/data/own"' for part in ("dagster", "api"))
    assert f"api.settings.{name} differs" in notes(chart, pipeline)
    assert "differs" not in notes(chart, pipeline, api)
    assert "differs" not in notes(chart)


def test_the_notes_open_the_hosts_of_the_ingress(chart: Any) -> None:
    told = notes(chart, f'ingress={{"enabled":true,"tls":[{{"secretName":"t"}}],{HOSTS}}}', MLFLOW_HOST)
    for part in ("api", "ui", "dagster", "mlflow"):
        assert f"https://{part}.example" in told


def test_the_notes_name_hosts_that_no_ingress_serves(chart: Any) -> None:
    told = notes(chart, f'ingress={{"enabled":false,{HOSTS}}}', MLFLOW_HOST)
    for name in ("ingress.api.host", "ingress.ui.host", "ingress.dagster.host", "mlflow.ingressHost"):
        assert re.search(rf"^{name} is .*\.example, but ingress.enabled is false", told, re.MULTILINE), told
    assert "ingress.enabled" not in notes(chart, "ingress.enabled=false")


def test_pods_of_the_operators_run_where_all_others_do(chart: Any) -> None:
    given = '{"nodeSelector":{"pool":"data"},"imagePullSecrets":[{"name":"registry"}],"priorityClassName":"high"}'
    things = chart.render(
        values=('rabbitmq={"mode":"operator"}', 'postgresql={"mode":"cnpg"}', f"global={given}"),
    )
    broker = named(things, "RabbitmqCluster", "touchline-rabbitmq")["spec"]
    database = named(things, "Cluster", "touchline-postgresql")["spec"]
    (term,) = broker["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "pool", "operator": "In", "values": ["data"]}]
    assert database["affinity"]["nodeSelector"] == {"pool": "data"}
    assert broker["imagePullSecrets"] == database["imagePullSecrets"] == [{"name": "registry"}]
    assert database["priorityClassName"] == "high"


def test_api_grace_period_follows_the_sync_timeout(chart: Any) -> None:
    """A longer wait of synchronous callers gives the api longer to stop."""
    for values, seconds in (((), 55), (('api={"drainSeconds":20,"settings":{"syncTimeoutSeconds":59.5}}',), 95)):
        things = chart.render(values=values)
        pod = named(things, "Deployment", "touchline-api")["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == seconds


def test_a_terminating_api_drains_before_it_is_stopped(chart: Any) -> None:
    """The hook creates the file that the API follows, on a volume that the pod can write to, and waits."""
    pod = named(chart.render(values=("api.drainSeconds=7",)), "Deployment", "touchline-api")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    hook = container["lifecycle"]["preStop"]["exec"]["command"]
    file = {variable["name"]: variable.get("value") for variable in container["env"]}["TOUCHLINE_DRAIN_FILE"]
    assert hook == ["sh", "-c", f"touch {file}; sleep 7"]
    assert str(Path(file).parent) in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_broker_grace_period_is_that_of_the_values(chart: Any) -> None:
    """A node of the broker gets the time that it waits for a majority and no week."""
    pod = named(chart.render(), "StatefulSet", "touchline-rabbitmq")["spec"]["template"]["spec"]
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    (wait,) = re.findall(r"await_online_quorum_plus_one -t (\d+) ", command)
    assert int(wait) < pod["terminationGracePeriodSeconds"] <= 3600


@pytest.mark.parametrize(("waits_seconds", "service_exists"), [(1, True), (60, False)])
def test_a_terminating_broker_node_waits_for_the_others_unless_the_release_is_gone(
    chart: Any, tmp_path: Path, waits_seconds: int, service_exists: bool
) -> None:
    """With the programs of the image replaced: the node drains when the majority is there, or the Service is not."""
    pod = named(chart.render(), "StatefulSet", "touchline-rabbitmq")["spec"]["template"]["spec"]
    service = named(chart.render(), "Service", "touchline-rabbitmq-nodes")["metadata"]["name"]
    programs = {
        "rabbitmq-upgrade": f"case $1 in await*) exec sleep {waits_seconds};; *) echo $1 >>{tmp_path}/called;; esac",
        "getent": f'[ "$1 $2" = "hosts {service}" ] && {str(service_exists).lower()} || exit 2',
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    started_at = time.monotonic()
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    output = subprocess.PIPE  # as for the kubelet, the hook ends when nothing holds its output
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=output, stderr=output)
    try:
        process.communicate(timeout=20)
        assert process.returncode == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the wait that an uninstallation leaves behind
    assert (tmp_path / "called").read_text() == "drain\n"
    assert time.monotonic() - started_at >= min(waits_seconds, 1)


def test_another_cluster_domain_and_name_server_are_used_everywhere(chart: Any) -> None:
    given = (
        'global={"clusterDomain":"corp.example"}',
        'networkPolicy={"dns":{"namespace":"openshift-dns","ports":[5353]}}',
    )
    things = chart.render(values=given)
    assert "cluster.local" not in str(things)
    node = named(things, "StatefulSet", "touchline-rabbitmq")["spec"]["template"]["spec"]["containers"][0]
    told = {one["name"]: one.get("value") for one in node["env"]}
    assert told["RABBITMQ_NODENAME"] == "rabbit@$(POD_NAME).touchline-rabbitmq-nodes.football.svc.corp.example"
    (rule,) = named(things, "NetworkPolicy", "touchline-default")["spec"]["egress"]
    assert {"kubernetes.io/metadata.name": "openshift-dns"} in [
        one["namespaceSelector"]["matchLabels"] for one in rule["to"] if "namespaceSelector" in one
    ]
    assert {(one["port"], one["protocol"]) for one in rule["ports"]} == {(5353, "UDP"), (5353, "TCP")}


@pytest.mark.parametrize(("profile", "place"), [("values.yaml", 0), ("values-production.yaml", 1)])
def test_the_backup_of_the_readme_finds_postgresql(chart: Any, profile: str, place: int) -> None:
    """The bundled one is a pod by its name, the primary of a cnpg cluster is found by the operator's labels."""
    ways = re.findall(r"^postgres=(.*)$", (CHART / "README.md").read_text(), re.M)
    assert len(ways) == 2
    things = chart.render(profile)
    if place == 0:
        server = named(things, "StatefulSet", "touchline-postgresql")
        assert ways[place] == f"pod/{server['metadata']['name']}-0"
    else:
        cluster = named(things, "Cluster", "touchline-postgresql")
        assert f"cnpg.io/cluster={cluster['metadata']['name']},cnpg.io/instanceRole=primary" in ways[place]
