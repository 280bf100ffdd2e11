"""`touchline launch`: a job on the Dagster of a running `touchline up`, waited for, and what came of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from features.errors import InvalidInputError, TouchlineError
from orchestration.partitions import PARTITION

RUN_CONFIG_STEPS = {
    "refresh_matches": "matches",
    "train_model": "outcome_model",
    "approve_promotion": "approve_candidate",
    "rollback_production": "restore_previous",
    "review_drift": "record_review",
}
"""The one step of a job that is told something; `FIELD=VALUE` is for it."""

HERE = {"repositoryLocationName": "touchline", "repositoryName": "__repository__"}
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
PATIENCE, PAUSE = 45.0, 5.0
"""Seconds for which a code server that is gone is asked again, and between; Dagster starts it anew."""

_JOBS = """
query($here: RepositorySelector!) { repositoryOrError(repositorySelector: $here) {
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
_STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
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
    """Dagster could not reach the process that holds our code, as happens after a machine has slept."""


def launch(job: str, words: Sequence[str], partition: str | None, dagster: str, say: Callable[[str], None]) -> None:
    """Launch a job, wait for its run, tell how it ended.

    Parameters
    ----------
    words : `FIELD=VALUE` for the step that takes them (`RUN_CONFIG_STEPS`), or one run configuration as JSON.
    partition : the competition or the week, where a job is cut by them.
    dagster : address of Dagster's pages.

    Raises
    ------
    InvalidInputError
        If the words are no configuration.
    TouchlineError
        If Dagster does not answer, takes no such job or configuration, or the run did not succeed.
    """
    config = run_config(job, words)
    deadline, told = time.monotonic() + PATIENCE, False
    while True:
        try:
            return _run(job, config, partition, dagster, say)
        except CodeServerUnavailableError:
            if time.monotonic() > deadline:
                raise
        if not told:
            say(f"Dagster's code server is gone; {job} is launched when it is back ...")
        told = True
        time.sleep(PAUSE)


def run_config(job: str, words: Sequence[str]) -> dict[str, Any]:
    """The run configuration that the words of a command line mean."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            return dict(json.loads(words[0]))
        except ValueError as error:
            raise InvalidInputError(f"the configuration is not JSON: {error}") from error
    fields = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"{word!r} is neither FIELD=VALUE nor a run configuration as JSON")
        fields[name] = _value(value)
    if fields and job not in RUN_CONFIG_STEPS:
        raise InvalidInputError(f"{job} takes no FIELD=VALUE; those that do are {', '.join(RUN_CONFIG_STEPS)}")
    return {"ops": {RUN_CONFIG_STEPS[job]: {"config": fields}}} if fields else {}


def _value(text: str) -> str | float | bool:
    """A number or true and false where it is one, otherwise the text."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text


def _run(job: str, config: dict[str, Any], partition: str | None, dagster: str, say: Callable[[str], None]) -> None:
    begin, run = time.monotonic(), _begin(dagster, job, config, partition)
    page = f"{dagster}/runs/{run}"
    say(f"{job} is launched: {page}")
    try:
        while (status := _ask(dagster, _STATUS, run=run)["runOrError"].get("status")) not in ENDED:
            time.sleep(0.5)
    except KeyboardInterrupt as error:
        raise TouchlineError(f"{job} is not waited for; its run goes on: {page}") from error
    events = _events(dagster, run)
    if status == "SUCCESS":
        told = [e["message"] for e in events if e["__typename"] == "LogMessageEvent" and e["level"] == "INFO"]
        say(f"{job} succeeded after {time.monotonic() - begin:.0f} s" + "".join(f"; {one}" for one in told))
        return
    raise TouchlineError(f"{job} {'was cancelled' if status == 'CANCELED' else f'failed: {_why(events)}'}; see {page}")


def _begin(dagster: str, job: str, config: dict[str, Any], partition: str | None) -> str:
    """Ask for a run; returns its id."""
    job_there = _ask(dagster, _PARTITIONS, job={**HERE, "pipelineName": job})["pipelineOrError"]
    keys = job_there.get("partitionKeysOrError", {}).get("partitionKeys") or []
    if keys and partition not in keys:  # the run would begin, and fail
        span = ", ".join(keys) if len(keys) < 5 else f"{keys[0]} to {keys[-1]}"
        raise InvalidInputError(f"{job} is not launched: it is of one partition at a time; give --partition ({span})")
    tags = [{"key": PARTITION, "value": partition}] if partition else []
    params = {"selector": {**HERE, "jobName": job}, "runConfigData": config, "executionMetadata": {"tags": tags}}
    answer = _ask(dagster, _LAUNCH, params=params)["launchRun"]
    match answer["__typename"]:
        case "LaunchRunSuccess":
            return str(answer["run"]["runId"])
        case "RunConfigValidationInvalid":
            # what Dagster adds about the whole schema fills a page
            faults = [re.split(r" Expected: | You must | Example ", one["message"])[0] for one in answer["errors"]]
            raise InvalidInputError(f"{job} is not launched: {' '.join(faults)}")
        case "PipelineNotFoundError":
            jobs = _ask(dagster, _JOBS, here=HERE)["repositoryOrError"].get("jobs")
            if not jobs:
                raise CodeServerUnavailableError("Dagster has not loaded Touchline's jobs; see the log of dagster")
            names = sorted(one["name"] for one in jobs if not one["name"].startswith("__"))
            raise InvalidInputError(f"there is no job {job!r}; there are {', '.join(names)}")
    raise _failure(answer["message"])


def _failure(message: str) -> TouchlineError:
    kind = CodeServerUnavailableError if "user code server" in message else TouchlineError
    return kind(_sentence(message))


def _sentence(message: str) -> str:
    """The first line of an error, without the name of its class."""
    return re.sub(r"^[\w.]+: ", "", message.strip().splitlines()[0]) if message.strip() else "no reason given"


def _why(events: list[dict[str, Any]]) -> str:
    """What the first step that failed says, or the run where none did; the innermost cause is what happened."""
    for event in events:
        if event["__typename"] == "ExecutionStepFailureEvent" and event["error"]:
            chain = [event["error"], *(one["error"] for one in event["error"]["errorChain"])]
            return _sentence(chain[-1]["message"])
    for event in events:
        if event["__typename"] == "RunFailureEvent":
            failure = _failure((event["error"] or event)["message"])
            if isinstance(failure, CodeServerUnavailableError):
                raise failure
            return str(failure)
    return "no reason given"


def _events(dagster: str, run: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    after, more = None, True
    while more:
        page = _ask(dagster, _EVENTS, run=run, after=after)["logsForRun"]
        events += page["events"]
        after, more = page["cursor"], page["hasMore"]
    return events


def _ask(dagster: str, query: str, **variables: Any) -> dict[str, Any]:
    try:
        answer = httpx.post(f"{dagster}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    except (httpx.HTTPError, ValueError) as error:
        raise TouchlineError(f"Dagster does not answer at {dagster} ({error})") from error
    if not answer.get("data"):
        raise _failure(answer["errors"][0]["message"])
    return dict(answer["data"])
