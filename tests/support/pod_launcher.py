"""A run launcher whose pods never start and that tells why, as K8sRunLauncher does."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData


class PodLauncher(RunLauncher, ConfigurableClass):
    """Set `reasons` to what the cluster says of each run's pod."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self.reasons: dict[str, str] = {}
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> PodLauncher:
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start nothing."""

    def terminate(self, run_id: str) -> bool:
        return False

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        assert not include_container_logs, "a pod that has not started has no log"
        return self.reasons.get(run.run_id)
