"""Training runs in one process on a single machine, and in a pod per step on Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.step_delegating import StepDelegatingExecutor
from dagster_k8s.executor import K8sStepHandler

from orchestration.definitions import build, defs
from orchestration.settings import PipelineSettings


def executor_of_training(home: Path, step_pods: bool) -> Any:
    """The executor that a training run gets."""
    job = build(PipelineSettings(home=home, k8s_step_pods=step_pods)).resolve_job_def("train_model")
    definition = job.executor_def
    config = definition.apply_config_mapping({"config": {}}).value["config"]
    assert definition.executor_creation_fn is not None
    with dg.DagsterInstance.ephemeral() as instance:
        return definition.executor_creation_fn(dg.InitExecutorContext(InMemoryJob(job), definition, config, instance))


def test_steps_share_the_process_of_the_run_on_one_machine(tmp_path: Path) -> None:
    executor = executor_of_training(tmp_path, step_pods=False)
    assert isinstance(executor, InProcessExecutor)
    assert executor.retries.enabled


def test_each_step_is_a_pod_on_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    executor = executor_of_training(tmp_path, step_pods=True)
    assert isinstance(executor, StepDelegatingExecutor)
    assert isinstance(executor._step_handler, K8sStepHandler)
    assert executor.retries.enabled


def test_only_training_has_its_own_executor() -> None:
    names = {job.name: job.executor_def.name for job in defs.resolve_all_job_defs()}
    assert names.pop("train_model") == "training_executor"
    assert set(names.values()) == {"in_process"}
