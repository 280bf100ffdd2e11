"""Everything that relies on Dagster beyond its public API, in one place to check on an upgrade.

`tests/orchestration/test_dagster_internals.py` fails when Dagster changes any of it.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

__all__ = [
    "LAUNCHED",
    "RUN_LOCATION",
    "CheckRunHealthResult",
    "WorkerStatus",
    "check_history",
    "free_pool_slots",
    "processes_of_run",
    "run_dagster_dev",
    "run_webserver",
]

RUN_LOCATION = {".dagster/repository": "__repository__@touchline"}
"""Tag of runs that were not launched through the code location of workspace.yaml.

The page of a job lists only runs with this tag; Dagster sets it itself on the runs that it launches.
"""


LAUNCHED = ".dagster/grpc_info"
"""Tag of runs that the code server executes in processes of its own; Dagster's launcher sets it."""


def free_pool_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Free the places in pools that a run holds; the daemon does this too, but only minutes later."""
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def check_history(instance: dg.DagsterInstance, key: dg.AssetCheckKey, limit: int) -> list[tuple[str, bool]]:
    """Run id and success of the newest executions of a check, newest first.

    An execution that has not finished counts as not passed. The public API returns the latest execution only, not one
    per partition.
    """
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit)
    return [(record.run_id, record.status.value == "SUCCEEDED") for record in records]


def processes_of_run(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[int, float]]:
    """Number of each process that has worked on a run, and a Unix time at which it was alive."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        pid = entry.get_dagster_event().engine_event_data.metadata.get("pid")
        if pid is not None:
            yield int(str(pid.value)), entry.timestamp


def run_dagster_dev(arguments: Sequence[str], webserver: str) -> None:
    """Run `dagster dev` with a module of ours in place of Dagster's webserver; the process ends with it.

    `dagster dev` starts `python -m dagster_webserver` and offers no option for another one.
    """
    from dagster import _cli

    dev: Any = import_module("dagster._cli.dev")
    start = dev.open_ipc_subprocess

    def start_with_webserver(command: Sequence[str], **options: Any) -> Any:
        return start([webserver if part == "dagster_webserver" else part for part in command], **options)

    dev.open_ipc_subprocess = start_with_webserver
    _cli.cli(["dev", *arguments], prog_name="dagster", auto_envvar_prefix=_cli.ENV_PREFIX)


def run_webserver(wrap: Callable[[Any], Any]) -> None:
    """Run Dagster's webserver with the arguments of this process and its ASGI application wrapped by a function."""
    cli: Any = import_module("dagster_webserver.cli")
    create = cli.create_app_from_workspace_process_context

    def create_wrapped(*arguments: Any, **options: Any) -> Any:
        return wrap(create(*arguments, **options))

    cli.create_app_from_workspace_process_context = create_wrapped
    cli.main()
