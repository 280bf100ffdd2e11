"""Training runs in one process on one machine, and in a pod for each step on Kubernetes."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.init import InitExecutorContext
from dagster._core.executor.step_delegating import StepDelegatingExecutor
from dagster_k8s.executor import K8sStepHandler

from orchestration.definitions import defs
from orchestration.executors import training_executor


def made(monkeypatch: pytest.MonkeyPatch, step_pods: str) -> Any:
    """The executor that a run would get."""
    monkeypatch.setenv("TOUCHLINE_K8S_STEP_PODS", step_pods)
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    job = InMemoryJob(defs.resolve_job_def("train_model"))
    with dg.DagsterInstance.ephemeral() as instance:
        create = training_executor.executor_creation_fn
        assert create is not None
        return create(InitExecutorContext(job, training_executor, {}, instance))


def test_on_one_machine_steps_share_the_process_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(made(monkeypatch, "false"), InProcessExecutor)


def test_on_kubernetes_each_step_is_a_job_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = made(monkeypatch, "true")
    assert isinstance(executor, StepDelegatingExecutor)
    assert isinstance(executor._step_handler, K8sStepHandler)


def test_only_training_runs_so() -> None:
    names = {job.name: job.executor_def.name for job in defs.resolve_all_job_defs()}
    assert names["train_model"] == "training_executor"
    assert names["refresh_matches"] == "in_process"
