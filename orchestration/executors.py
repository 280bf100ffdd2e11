"""Where the steps of a training run: in the run's own process, or each in a pod of its own."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
from dagster._core.executor.base import Executor
from dagster._core.executor.init import InitExecutorContext

from orchestration.settings import PipelineSettings


@dg.executor(name="training_executor")
def training_executor(context: InitExecutorContext) -> Executor:
    """Steps in pods where the settings say so: a step that runs out of memory then fails alone, and is tried again."""
    configured = context._replace(executor_config={"retries": {"enabled": {}}})
    if not PipelineSettings().k8s_step_pods:
        return _creates(dg.in_process_executor)(configured)
    from dagster_k8s import k8s_job_executor

    return _creates(k8s_job_executor)(configured)


def _creates(definition: dg.ExecutorDefinition) -> Callable[[InitExecutorContext], Executor]:
    made = definition.executor_creation_fn
    assert made is not None
    return made
