"""Every command that the chart runs once: of Jobs and hooks of helm, and of the start and the end of a container.

Servers and probes are run elsewhere. `IN_IMAGES` are run in our images by test_chart_played, `ON_SERVICES` on this
machine's RabbitMQ and PostgreSQL by test_chart_services; a test fails on a rendered command that is in neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Thing = dict[str, Any]
IN_IMAGES = {"api preStop", "dagster-migration", "mlflow-migration", "test"}
ON_SERVICES = {"postgresql preStop", "rabbitmq cookie", "rabbitmq preStop"}
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def command_names(things: list[Thing], release: str = "touchline") -> set[str]:
    """Names of all such commands: `<object>` of a Job or hook, `<object> <container or handler>` of a container."""
    return set(_commands(things, release))


def _commands(things: list[Thing], release: str) -> Iterator[str]:
    for thing in things:
        if thing["kind"] not in {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"}:
            continue
        name = thing["metadata"]["name"].removeprefix(f"{release}-")
        spec = pod_spec(thing)
        if thing["kind"] in {"Job", "CronJob", "Pod"}:
            yield name
        yield from (f"{name} {container['name']}" for container in spec.get("initContainers", []))
        for container in spec["containers"]:
            handlers = container.get("lifecycle", {})
            yield from (f"{name} {handler}" for handler, action in handlers.items() if "exec" in action)


def pod_spec(thing: Thing) -> Thing:
    """The pods of an object."""
    spec = thing if thing["kind"] == "Pod" else thing["spec"].get("jobTemplate", thing)["spec"]["template"]
    return dict(spec["spec"])


@dataclass(frozen=True)
class JobRun:
    """A Job of the chart as podman runs it: its command, variables, files and account, with loopback addresses."""

    things: list[Thing]
    spec: Thing
    folder: Path
    """For the files that the pod would mount."""

    def arguments(self, secrets: Mapping[str, str], kubernetes: tuple[int, Path] | None = None) -> list[str]:
        """Arguments of `podman run`; `secrets` are the values of the keys, `kubernetes` the API's port and its CA."""
        (container,) = self.spec["containers"]
        environment = {
            variable["name"]: secrets[variable["valueFrom"]["secretKeyRef"]["key"]]
            if "valueFrom" in variable
            else variable["value"]
            for variable in container.get("env", [])
        }
        mounts = list(self._mounts(container))
        if self.spec["automountServiceAccountToken"]:
            assert kubernetes is not None
            port, authority = kubernetes
            environment |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
            mounts += [f"-v={self._file('token', 'a-token')}:{ACCOUNT}/token:ro", f"-v={authority}:{ACCOUNT}/ca.crt:ro"]
        security = self.spec["securityContext"]
        user = f"--user={security['runAsUser']}:{security['runAsGroup']}"
        command = container.get("command")
        arguments = [str(argument) for argument in container.get("args", [])]
        for name, value in environment.items():
            arguments = [argument.replace(f"$({name})", value) for argument in arguments]
        return [
            *("run", "--rm", "--network=host", "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL"),
            *("--security-opt=no-new-privileges", user, *mounts),
            *(f"-e={name}={value}" for name, value in environment.items()),
            *([f"--entrypoint={json.dumps(command)}"] if command else []),
            *(f"localhost/{container['image']}", *arguments),
        ]

    def _mounts(self, container: Thing) -> Iterator[str]:
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            if "emptyDir" in volume:
                yield f"--tmpfs={mount['mountPath']}:mode=1777"
                continue
            wanted = volume["configMap"]["name"]
            (config,) = [thing for thing in self.things if thing["kind"] == "ConfigMap"
                         and thing["metadata"]["name"] == wanted]  # fmt: skip
            yield f"-v={self._file(mount['subPath'], config['data'][mount['subPath']])}:{mount['mountPath']}:ro"

    def _file(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o644)
        return path
