"""Where the steps of `train_model` run: all in one process, or each in its own pod."""

import dagster as dg

_RETRIES: dict[str, object] = {"retries": {"enabled": {}}}


def training_executor(step_pods: bool) -> dg.ExecutorDefinition:
    """The executor of `train_model`.

    With one pod per step, a step that runs out of memory fails alone and is retried.
    """
    if not step_pods:
        return dg.in_process_executor.configured(_RETRIES, name="training_executor")
    from dagster_k8s import k8s_job_executor  # imports the Kubernetes client, which a laptop does not need

    return k8s_job_executor.configured(_RETRIES, name="training_executor")
