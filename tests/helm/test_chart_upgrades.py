"""What helm sees in the cluster decides: volumes that cannot change, credentials that are gone, replicas that run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.chart import CHART, Chart, HelmError, Thing
from tests.support.cluster_api import ClusterApi

SETS = {"postgresql": "10Gi", "rabbitmq": "8Gi", "valkey": "2Gi"}
KEPT = ("touchline-broker", "touchline-postgresql", "touchline-mlflow-database", "touchline-dagster-database")


def stateful_set(part: str, size: str, storage_class: str = "") -> Thing:
    """A StatefulSet of an earlier release, as far as its volumes matter."""
    spec: Thing = {"resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"touchline-{part}"},
        "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": spec}]},
    }


def refusal(cluster: ClusterApi, *values: str, upgrade: bool = True) -> str:
    """The error of an upgrade or an installation that must not change anything."""
    with pytest.raises(HelmError) as error:
        (cluster.upgrade if upgrade else cluster.install)(*values)
    return str(error.value)


@pytest.mark.parametrize("part", SETS)
def test_another_size_of_a_set_is_refused_with_the_way(cluster: ClusterApi, part: str) -> None:
    """Kubernetes would refuse it only after the databases were migrated."""
    cluster.add(stateful_set(part, SETS[part]))
    told = refusal(cluster, f'{part}.persistence.size="20Gi"')
    assert f"{part}.persistence.size is 20Gi" in told
    assert f"were made with {SETS[part]}" in told
    assert "Grow a volume" in told
    assert "### Grow a volume" in (CHART / "README.md").read_text()


def test_the_same_size_in_another_unit_is_no_change(cluster: ClusterApi) -> None:
    """1Gi is 1024Mi, as Kubernetes itself writes it back."""
    cluster.add(stateful_set("valkey", "2048Mi"))
    cluster.add_claim("touchline-lake", "10240Mi")
    assert cluster.upgrade()


def test_another_class_of_a_set_is_refused(cluster: ClusterApi) -> None:
    """A claim keeps its class."""
    cluster.add(stateful_set("postgresql", "10Gi", "slow"))
    assert cluster.upgrade('postgresql.persistence.storageClass="slow"')
    told = refusal(cluster, 'postgresql.persistence.storageClass="fast"')
    assert 'postgresql.persistence.storageClass is "fast"' in told
    assert 'postgresql.persistence.storageClass is ""' in refusal(cluster)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('global.lake.size="5Gi"', "global.lake.size is 5Gi, but the volume touchline-lake has 10Gi"),
        ('global.lake.storageClass="fast"', 'global.lake.storageClass is "fast"'),
        ('global.lake.accessMode="ReadWriteMany"', "global.lake.accessMode is ReadWriteMany"),
        ('mlflow.artifacts.size="1Gi"', "mlflow.artifacts.size is 1Gi, but the volume touchline-mlflow has 10Gi"),
        ('mlflow.artifacts.storageClass="fast"', 'mlflow.artifacts.storageClass is "fast"'),
    ],
)
def test_what_a_claim_cannot_become_is_refused(cluster: ClusterApi, value: str, message: str) -> None:
    """Kubernetes would refuse it only after the databases were migrated."""
    for name in ("touchline-lake", "touchline-mlflow"):
        cluster.add_claim(name, "10Gi", storageClassName="slow")
    assert message in refusal(cluster, value)


def test_a_claim_may_grow(cluster: ClusterApi) -> None:
    """Kubernetes grows it if its class allows that."""
    for name in ("touchline-lake", "touchline-mlflow"):
        cluster.add_claim(name, "10Gi", storageClassName="slow")
    assert cluster.upgrade('global.lake.size="20Gi"', 'mlflow.artifacts.size="20Gi"')


def test_a_volume_left_behind_must_be_large_enough(cluster: ClusterApi) -> None:
    """A second installation uses it as it is; a larger one in the values would be untrue."""
    leave_behind(cluster)
    assert cluster.install()
    told = refusal(cluster, 'valkey.persistence.size="30Gi"', upgrade=False)
    assert "the volume data-touchline-valkey-0 of an earlier installation has 2Gi" in told


@pytest.mark.parametrize(
    ("missing", "upgrade"), [("touchline-broker", True), *((name, False) for name in KEPT)], ids=str
)
def test_old_volumes_without_their_secret_are_told(cluster: ClusterApi, missing: str, upgrade: bool) -> None:
    """New passwords would not open the data."""
    leave_behind(cluster, missing)
    assert f"but not its Secret {missing}" in refusal(cluster, upgrade=upgrade)
    assert "### Lost credentials" in (CHART / "README.md").read_text()


def test_old_volumes_may_be_opened_by_another_secret(cluster: ClusterApi) -> None:
    """One that the values name."""
    leave_behind(cluster, missing="touchline-mlflow-database")
    assert cluster.install('global.existingSecrets.mlflowDatabase="mine"')


def leave_behind(cluster: ClusterApi, missing: str = "") -> None:
    """What an uninstallation leaves: volumes and Secrets, but for one."""
    for part, size in SETS.items():
        cluster.add_claim(f"data-touchline-{part}-0", size)
    for name in KEPT:
        if name != missing:
            cluster.add_secret(name, {"password": "p", "username": "touchline", "erlang-cookie": "c"})


def test_without_old_volumes_secrets_are_generated(cluster: ClusterApi) -> None:
    """A first installation, and one after everything was deleted."""
    cluster.add_claim("touchline-lake", "10Gi")
    assert cluster.install()


def deployment(part: str, replicas: int, *managers: tuple[str, str | None]) -> Thing:
    """A running Deployment whose replicas these (operation, subresource) have set."""
    fields: Thing = {"f:spec": {"f:replicas": {}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"touchline-{part}",
            "managedFields": [
                {"operation": operation, "fieldsV1": fields, **({"subresource": subresource} if subresource else {})}
                for operation, subresource in managers
            ],
        },
        "spec": {"replicas": replicas},
    }


def replicas(cluster: ClusterApi, *values: str) -> list[int | None]:
    """The numbers that an upgrade gives the Deployments of API and worker."""
    specs = {thing["metadata"]["name"]: thing["spec"] for thing in cluster.upgrade(*values)
             if thing["kind"] == "Deployment"}  # fmt: skip
    return [specs[f"touchline-{part}"].get("replicas") for part in ("api", "worker")]


APPLIED, SCALED, PATCHED = ("Apply", None), ("Update", "scale"), ("Update", None)


def test_an_autoscaler_takes_over_the_pods_that_run(cluster: ClusterApi) -> None:
    """Without a number the Deployment would fall to one pod, until the autoscaler has its first measurement."""
    assert replicas(cluster) == [None, None], "a first installation leaves it to the autoscaler"
    cluster.add(deployment("api", 4, APPLIED))
    cluster.add(deployment("worker", 3, APPLIED))
    assert replicas(cluster) == [4, 3]
    cluster.add(deployment("api", 7, APPLIED, SCALED))
    cluster.add(deployment("worker", 5, PATCHED, SCALED))
    expected = [None, 5]  # what the autoscaler has set, helm 4 leaves alone; helm 3 would take away what it had set
    assert replicas(cluster) == expected


def test_fixed_replicas_are_those_of_the_values(cluster: ClusterApi) -> None:
    """Whatever runs."""
    cluster.add(deployment("api", 4, APPLIED))
    assert replicas(cluster, "api.replicas=3", "api.autoscaling.enabled=false") == [3, None]


def test_a_new_version_of_the_chart_restarts_no_database(chart: Chart, tmp_path: Path) -> None:
    """The templates of their pods and volumes are the same; only the sets' own labels name the version."""
    bumped = tmp_path / "helm"
    shutil.copytree(CHART, bumped)
    for path in bumped.rglob("Chart.yaml"):
        path.write_text(path.read_text().replace("0.1.0", "9.9.9"))
    before, after = (sets(chart, folder) for folder in (CHART, bumped))
    assert before.keys() == {f"touchline-{part}" for part in SETS}
    for name, thing in after.items():
        assert thing["metadata"]["labels"]["helm.sh/chart"].endswith("9.9.9")
        assert thing["spec"] == before[name]["spec"]


def sets(chart: Chart, folder: Path) -> dict[str, Thing]:
    """The StatefulSets that a chart renders."""
    told = chart.run("template", "touchline", str(folder))
    return {thing["metadata"]["name"]: thing for thing in yaml.safe_load_all(told)
            if thing and thing["kind"] == "StatefulSet"}  # fmt: skip
