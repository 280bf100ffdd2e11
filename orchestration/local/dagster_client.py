"""`touchline launch`: launch a job on the Dagster of a running `touchline up` and wait for its outcome.

The GraphQL queries are written by hand. `DagsterGraphQLClient` offers two of the five that are needed: launching a run
and reading its status, but not partition keys, job names or events. It would save 10 lines, but take 8 to turn its
exceptions into sentences. It would also add a second HTTP client and a fifth of Dagster's own import time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import httpx

from features.errors import InvalidInputError, TouchlineError
from features.io.store import week_of
from orchestration.partitions import PARTITION

RUN_CONFIG_STEPS = {
    "refresh_matches": "matches",
    "train_model": "outcome_model",
    "approve_promotion": "approve_candidate",
    "rollback_production": "restore_previous",
    "review_drift": "record_review",
}
"""The step that `FIELD=VALUE` configures, for each job that takes a configuration."""

LOCATION = {"repositoryLocationName": "touchline", "repositoryName": "__repository__"}
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
CODE_SERVER_TIMEOUT_SECONDS, RETRY_DELAY_SECONDS = 45.0, 5.0
"""How long and how often to retry while Dagster restarts its code server."""
FIRST_REPORT_SECONDS = 10.0
"""After how long `launch` says for the first time what it waits for."""
MAX_REPORT_INTERVAL_SECONDS = 30.0

_JOBS = """
query($location: RepositorySelector!) { repositoryOrError(repositorySelector: $location) {
  ... on Repository { jobs { name } }
} }"""
_PARTITIONS = """
query($job: PipelineSelector!) { pipelineOrError(params: $job) {
  ... on Pipeline { partitionKeysOrError { partitionKeys } }
} }"""
_LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on Error { message }
} }"""
_VALIDATE = """
query($job: PipelineSelector!, $config: RunConfigData) {
  isPipelineConfigValid(pipeline: $job, mode: "default", runConfigData: $config) {
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
_IN_PROGRESS = """
query { runsOrError(filter: {statuses: [STARTED, STARTING, CANCELING]}) { ... on Runs {
  results { runId jobName status }
} } }"""
_EVENTS = """
query($run: ID!, $after: String) { logsForRun(runId: $run, afterCursor: $after) { ... on EventConnection {
  cursor hasMore
  events {
    __typename
    ... on LogMessageEvent { message level }
    ... on ExecutionStepFailureEvent { error { message errorChain { error { message } } } }
    ... on RunFailureEvent { message error { message } }
  }
} } }"""


class CodeServerUnavailableError(TouchlineError):
    """Dagster cannot reach the process that holds our code, as happens after a machine has slept."""


def launch(
    job: str, arguments: Sequence[str], partition: str | None, dagster: str, on_progress: Callable[[str], None]
) -> None:
    """Launch a job, wait for its run, and report its outcome.

    Parameters
    ----------
    arguments : `FIELD=VALUE` for the step that takes them (`RUN_CONFIG_STEPS`), or one run configuration as JSON.
    partition : the competition or the week, if the job is partitioned.
    dagster : address of the Dagster UI.

    Raises
    ------
    InvalidInputError
        If the arguments are not a configuration.
    TouchlineError
        If Dagster does not answer, rejects the job or its configuration, or the run did not succeed.
    """
    config = run_config(job, arguments)
    deadline, announced = time.monotonic() + CODE_SERVER_TIMEOUT_SECONDS, False
    while True:
        try:
            return _run(job, config, partition, dagster, on_progress)
        except CodeServerUnavailableError:
            if time.monotonic() > deadline:
                raise
        if not announced:
            on_progress(f"Dagster's code server is restarting; {job} will be launched afterwards ...")
        announced = True
        time.sleep(RETRY_DELAY_SECONDS)


def run_config(job: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The run configuration from the arguments of the command line."""
    if len(arguments) == 1 and arguments[0].lstrip().startswith("{"):
        try:
            return dict(json.loads(arguments[0]))
        except ValueError as error:
            raise InvalidInputError(f"the configuration is not JSON: {error}") from error
    fields = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"{argument!r} is neither FIELD=VALUE nor a run configuration as JSON")
        fields[name] = value if name == "evidence" else _parse_value(value)  # a digest may look like a number
    if fields and job not in RUN_CONFIG_STEPS:
        raise InvalidInputError(f"{job} takes no FIELD=VALUE; the jobs that do are {', '.join(RUN_CONFIG_STEPS)}")
    return {"ops": {RUN_CONFIG_STEPS[job]: {"config": fields}}} if fields else {}


def _parse_value(text: str) -> str | float | bool:
    """A number or a boolean if the text is one, otherwise the text."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text


def _run(
    job: str, config: dict[str, Any], partition: str | None, dagster: str, on_progress: Callable[[str], None]
) -> None:
    started_at, run = time.monotonic(), _launch_run(dagster, job, config, partition)
    page = f"{dagster}/runs/{run}"
    on_progress(f"{job} was launched: {page}")
    try:
        status = _wait_until_finished(dagster, run, job, on_progress)
    except KeyboardInterrupt as error:
        raise TouchlineError(f"stopped waiting for {job}; its run continues: {page}") from error
    events = _events(dagster, run)
    if status == "SUCCESS":
        messages = [
            event["message"]
            for event in events
            if event["__typename"] == "LogMessageEvent" and event["level"] == "INFO"
        ]
        seconds = time.monotonic() - started_at
        on_progress("; ".join([f"{job} succeeded after {seconds:.0f} s", *messages]))
        return
    outcome = "was cancelled" if status == "CANCELED" else f"failed: {_failure_reason(events)}"
    raise TouchlineError(f"{job} {outcome}; see {page}")


def _wait_until_finished(dagster: str, run: str, job: str, on_progress: Callable[[str], None]) -> str:
    """Wait for the end of a run, and say what it waits for: after 10 s, then twice as late, at least twice a minute."""
    started_at, next_report = time.monotonic(), FIRST_REPORT_SECONDS
    while (status := _query(dagster, _STATUS, run=run)["runOrError"].get("status")) not in FINISHED:
        if status is None:
            raise TouchlineError(f"Dagster no longer knows the run of {job}; was it deleted?")
        waited = time.monotonic() - started_at
        if waited >= next_report:
            on_progress(
                f"{_waiting_for(dagster, run, job, status)} ({waited:.0f} s); Ctrl-C stops waiting, not the run"
            )
            next_report = min(2 * waited, waited + MAX_REPORT_INTERVAL_SECONDS)
        time.sleep(0.5)
    return str(status)


def _waiting_for(dagster: str, run: str, job: str, status: str) -> str:
    """What a run that has not finished is waiting for."""
    if status in {"STARTED", "STARTING", "CANCELING"}:
        return f"{job} is {status.lower()}" if status != "STARTED" else f"{job} is still running"
    others = _query(dagster, _IN_PROGRESS)["runsOrError"].get("results", [])
    names = [f"{other['jobName']} ({other['status'].lower()})" for other in others if other["runId"] != run]
    if not names:
        return f"{job} waits in Dagster's queue, and nothing runs before it: is Dagster's daemon alive?"
    return f"{job} waits in Dagster's queue behind {', '.join(names[:5])}"


def _launch_run(dagster: str, job: str, config: dict[str, Any], partition: str | None) -> str:
    """Launch a run; returns its id."""
    pipeline = _query(dagster, _PARTITIONS, job={**LOCATION, "pipelineName": job})["pipelineOrError"]
    keys = pipeline.get("partitionKeysOrError", {}).get("partitionKeys") or []
    if keys and partition not in keys:  # Dagster would start a run that fails
        if partition and (monday := _monday_of(partition)) in keys:
            raise InvalidInputError(
                f"{job} was not launched: its partitions are weeks, named after their Monday; the week of {partition} "
                f"is --partition {monday}"
            )
        span = ", ".join(keys) if len(keys) < 5 else f"{keys[0]} to {keys[-1]}"
        raise InvalidInputError(f"{job} was not launched: it needs one partition; give --partition ({span})")
    tags = [{"key": PARTITION, "value": partition}] if partition else []
    params = {"selector": {**LOCATION, "jobName": job}, "runConfigData": config, "executionMetadata": {"tags": tags}}
    answer = _query(dagster, _LAUNCH, params=params)["launchRun"]
    match answer["__typename"]:
        case "LaunchRunSuccess":
            return str(answer["run"]["runId"])
        case "RunConfigValidationInvalid":
            errors = [_config_error(error["message"]) for error in answer["errors"]]
            raise InvalidInputError(f"{job} was not launched: {' '.join(errors)}")
        case "PipelineNotFoundError":
            jobs = _query(dagster, _JOBS, location=LOCATION)["repositoryOrError"].get("jobs")
            if not jobs:
                raise CodeServerUnavailableError("Dagster has not loaded Touchline's jobs; see logs/dagster.log")
            names = sorted(known["name"] for known in jobs if not known["name"].startswith("__"))
            raise InvalidInputError(f"there is no job {job!r}; the jobs are {', '.join(names)}")
    raise _to_error(answer["message"])


def _monday_of(day: str) -> str | None:
    """The Monday of the week of a day; None if the text is no day."""
    try:
        return week_of(date.fromisoformat(day))
    except ValueError:
        return None


def _config_error(message: str) -> str:
    """An error of a run configuration, with the names of the fields instead of the whole schema, which fills a page."""
    sentence = re.split(r" Expected: | You must | Example ", message)[0]
    fields = _field_names(message) if ":config." in message else []
    return f"{sentence} The fields are {', '.join(fields)}." if fields else sentence


def _field_names(message: str) -> list[str]:
    """The names in the schema that Dagster's error about an unknown field ends with."""
    schema = message.partition("Expected: ")[2].replace("{ env: String }", "")
    return re.findall(r"(\w+)\??: ", schema)


def field_names(job: str, dagster: str) -> list[str]:
    """The fields of a job that `FIELD=VALUE` sets, as this Dagster knows them.

    Raises
    ------
    TouchlineError
        If Dagster does not answer.
    """
    if job not in RUN_CONFIG_STEPS:
        return []
    config = {"ops": {RUN_CONFIG_STEPS[job]: {"config": {"": None}}}}  # an unknown field: the error has the schema
    answer = _query(dagster, _VALIDATE, job={**LOCATION, "pipelineName": job}, config=config)
    return [
        name for error in answer["isPipelineConfigValid"].get("errors", []) for name in _field_names(error["message"])
    ]


def _to_error(message: str) -> TouchlineError:
    error_class = CodeServerUnavailableError if "user code server" in message else TouchlineError
    return error_class(_first_line(message))


def _first_line(message: str) -> str:
    """The first line of an error, without the name of its class."""
    return re.sub(r"^[\w.]+: ", "", message.strip().splitlines()[0]) if message.strip() else "no reason given"


def _failure_reason(events: list[dict[str, Any]]) -> str:
    """The innermost cause of the first failed step, or the failure of the run if no step failed."""
    for event in events:
        if event["__typename"] == "ExecutionStepFailureEvent" and event["error"]:
            chain = [event["error"], *(link["error"] for link in event["error"]["errorChain"])]
            return _first_line(chain[-1]["message"])
    for event in events:
        if event["__typename"] == "RunFailureEvent":
            error = _to_error((event["error"] or event)["message"])
            if isinstance(error, CodeServerUnavailableError):
                raise error
            return str(error)
    return "no reason given"


def _events(dagster: str, run: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    after, more = None, True
    while more:
        page = _query(dagster, _EVENTS, run=run, after=after)["logsForRun"]
        events += page["events"]
        after, more = page["cursor"], page["hasMore"]
    return events


def _query(dagster: str, query: str, **variables: Any) -> dict[str, Any]:
    try:
        answer = httpx.post(f"{dagster}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    except (httpx.HTTPError, ValueError) as error:
        raise TouchlineError(f"Dagster does not answer at {dagster} ({error})") from error
    if not answer.get("data"):
        raise _to_error(answer["errors"][0]["message"])
    return dict(answer["data"])
