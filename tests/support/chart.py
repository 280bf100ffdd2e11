"""The Helm chart, rendered by a real helm."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
Thing = dict[str, Any]

OPERATORS = (
    "monitoring.coreos.com/v1",
    "keda.sh/v1alpha1",
    "rabbitmq.com/v1beta1",
    "postgresql.cnpg.io/v1",
)


class HelmError(Exception):
    """Helm failed; the message is its output."""


@dataclass(frozen=True)
class Chart:
    """The chart, and the helm that renders it."""

    helm: str

    def run(self, *arguments: str) -> str:
        """Output of a helm command; raises HelmError with its errors."""
        done = subprocess.run([self.helm, *arguments], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise HelmError(done.stdout + done.stderr)
        return done.stdout

    def render(
        self,
        profile: str = "values.yaml",
        kubernetes: str = "1.34",
        operators: bool = True,
        upgrade: bool = False,
        values: tuple[str, ...] = (),
        release: str = "touchline",
    ) -> list[Thing]:
        """Every object of a release in the namespace `football`."""
        return list(_render(self, profile, kubernetes, operators, upgrade, values, release))

    def refuses(self, *values: str) -> str:
        """The error of helm for values that it must refuse."""
        with pytest.raises(HelmError) as refusal:
            self.render(values=values)
        return str(refusal.value)


@cache
def _render(
    chart: Chart, profile: str, kubernetes: str, operators: bool, upgrade: bool, values: tuple[str, ...], release: str
) -> tuple[Thing, ...]:
    arguments = ["template", release, str(CHART), "-n", "football", "-f", str(CHART / profile)]
    arguments += ["--kube-version", kubernetes]
    for api in OPERATORS if operators else ():
        arguments += ["--api-versions", api]
    for value in values:
        arguments += ["--set-json", value]
    if upgrade:
        arguments.append("--is-upgrade")
    return tuple(thing for thing in yaml.safe_load_all(chart.run(*arguments)) if thing)


PROFILES = ("values.yaml", "values-dev.yaml", "values-production.yaml")
EXTERNAL = (
    'rabbitmq={"mode":"external","external":{"url":"amqps://u:p@mq.example/v"}}',
    'valkey={"mode":"external","external":{"url":"rediss://:p@cache.example:6379/0"}}',
    'postgresql={"mode":"external","external":{"host":"pg.example"},'
    '"databases":{"mlflow":{"password":"p@/ s"},"dagster":{"password":"q"}}}',
)
# Ways to install the chart that no profile covers.
VARIANTS = {
    "external": EXTERNAL,
    "ingress": (
        'ingress={"enabled":true,"className":"nginx","tls":[{"hosts":["a.example"],"secretName":"tls"}],'
        '"api":{"host":"api.example"},"ui":{"host":"a.example"},"dagster":{"host":"d.example"}}',
        'mlflow={"ingressHost":"m.example"}',
    ),
    "hpa": ('worker={"autoscaling":{"mode":"hpa"}}',),
    "no scaler": ('worker={"autoscaling":{"mode":"none"}}', 'api={"autoscaling":{"enabled":false}}'),
    "shared volume": ('global={"lake":{"accessMode":"ReadWriteMany","storageClass":"nfs"}}',),
    "telemetry": (
        'api={"settings":{"otlpEndpoint":"http://otel.monitoring:4318"}}',
        'worker={"settings":{"otlpEndpoint":"http://otel.monitoring:4318"}}',
    ),
    "own matches": (
        'dagster={"settings":{"files":"/mine"},"extraVolumes":[{"name":"mine","emptyDir":{}}],'
        '"extraVolumeMounts":[{"name":"mine","mountPath":"/mine"}]}',
    ),
    "keys and nodes": (
        'global={"existingSecrets":{"apiKeys":"k","uiApiKey":"u","postgresql":"p"},"nodeSelector":{"pool":"a"},'
        '"tolerations":[{"key":"x","operator":"Exists"}],"priorityClassName":"high","imagePullSecrets":[{"name":"r"}]}',
    ),
}
