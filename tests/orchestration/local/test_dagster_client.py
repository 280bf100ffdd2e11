"""`touchline launch`: a job is launched and waited for, and one line tells how it ended."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import httpx
import pytest

from features.errors import InvalidInputError, TouchlineError
from orchestration.definitions import build
from orchestration.local import dagster_client
from orchestration.local.cli import main
from orchestration.local.dagster_client import RUN_CONFIG_STEPS, field_names, launch, run_config
from orchestration.local.preflight import single_instance_lock, write_run_settings
from orchestration.settings import PipelineSettings
from tests.support.dagster_daemon import daemon, pages

GONE = "dagster._core.errors.DagsterUserCodeUnreachableError: Could not reach user code server. gRPC: UNKNOWN"
REASON = "version 9 is not the candidate; version 2 is"
FAILED = {
    "__typename": "ExecutionStepFailureEvent",
    "error": {
        "message": "dagster._core.definitions.events.Failure: version 9 is not the candidate; version 2 is\n",
        "errorChain": [
            {
                "error": {
                    "message": "features.errors.PromotionBlockedError: version 9 is not the candidate; version 2 is\n\n"
                }
            }
        ],
    },
}
STARTED = {"__typename": "LaunchRunSuccess", "run": {"runId": "abc"}}


class Dagster:
    """A fake Dagster whose answers a test sets: the result of each launch, and the status and events of its run."""

    def __init__(
        self, *launches: dict[str, Any], status: str = "SUCCESS", events: Any = (), partitions: Any = ()
    ) -> None:
        self.launches, self.status, self.events = list(launches), status, [list(events)]
        self.earlier_statuses: list[str | None] = []
        self.in_progress: list[dict[str, str]] = []
        self.partitions = list(partitions)
        self.errors: list[dict[str, str]] = []
        self.launched: list[dict[str, Any]] = []

    def post(self, address: str, json: dict[str, Any], timeout: float) -> httpx.Response:
        assert address == "http://dagster.example/graphql"
        data: dict[str, Any]
        if "launchRun" in json["query"]:
            self.launched.append(json["variables"]["params"])
            data = {"launchRun": self.launches.pop(0)}
        elif "runOrError" in json["query"]:
            status = self.earlier_statuses.pop(0) if self.earlier_statuses else self.status
            data = {"runOrError": {"status": status}}
        elif "runsOrError" in json["query"]:
            data = {"runsOrError": {"results": self.in_progress}}
        elif "logsForRun" in json["query"]:
            events = self.events.pop(0) if len(self.events) > 1 else self.events[0]
            data = {"logsForRun": {"cursor": "1", "hasMore": False, "events": events}}
        elif "isPipelineConfigValid" in json["query"]:
            data = {"isPipelineConfigValid": {"errors": self.errors}}
        elif "pipelineOrError" in json["query"]:
            data = {"pipelineOrError": {"partitionKeysOrError": {"partitionKeys": self.partitions}}}
        else:
            data = {"repositoryOrError": {"jobs": [{"name": "train_model"}, {"name": "__ASSET_JOB"}]}}
        return httpx.Response(200, json={"data": data})


@pytest.fixture
def printed_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A function that launches a job on a fake Dagster and returns the printed lines."""

    def on(dagster: Dagster, job: str = "approve_promotion", *words: str, partition: str | None = None) -> list[str]:
        lines: list[str] = []
        monkeypatch.setattr(httpx, "post", dagster.post)
        monkeypatch.setattr(dagster_client, "RETRY_DELAY_SECONDS", 0)
        launch(job, words, partition, "http://dagster.example", lines.append)
        return lines

    return on


def test_success_is_one_line_with_the_messages_of_the_run(printed_by) -> None:
    events = [
        {"__typename": "LogMessageEvent", "level": "DEBUG", "message": "never mind"},
        {"__typename": "LogMessageEvent", "level": "INFO", "message": "version 2 approved by Ada"},
        {"__typename": "RunSuccessEvent"},
    ]
    dagster = Dagster(STARTED, events=events, partitions=["2026-03-09"])
    launched, ended = printed_by(dagster, "approve_promotion", "version=2", "name=Ada", partition="2026-03-09")
    assert launched == "approve_promotion was launched: http://dagster.example/runs/abc"
    assert ended == "approve_promotion succeeded after 0 s; version 2 approved by Ada"
    (launch_params,) = dagster.launched
    assert launch_params["runConfigData"] == {"ops": {"approve_candidate": {"config": {"version": 2, "name": "Ada"}}}}
    assert launch_params["executionMetadata"] == {"tags": [{"key": "dagster/partition", "value": "2026-03-09"}]}


def test_failure_is_the_message_of_the_step_and_a_link(printed_by) -> None:
    with pytest.raises(TouchlineError) as failure:
        printed_by(Dagster(STARTED, status="FAILURE", events=[{"__typename": "RunStartEvent"}, FAILED]))
    assert str(failure.value) == (
        "approve_promotion failed: version 9 is not the candidate; version 2 is; see http://dagster.example/runs/abc"
    )


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            {
                "__typename": "RunConfigValidationInvalid",
                "errors": [{"message": 'Received unexpected config entry "opps" at the root. Expected: "{ a page }".'}],
            },
            'approve_promotion was not launched: Received unexpected config entry "opps" at the root.',
        ),
        ({"__typename": "PipelineNotFoundError"}, "there is no job 'approve_promotion'; the jobs are train_model"),
        ({"__typename": "PythonError", "message": "builtins.ValueError: no room\n  a trace"}, "no room"),
    ],
)
def test_rejected_launch_is_one_sentence(printed_by, answer: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TouchlineError) as failure:
        printed_by(Dagster(answer))
    assert str(failure.value) == sentence


def test_partitioned_job_needs_a_partition(printed_by) -> None:
    for keys, span in ((["eng", "esp"], "eng, esp"), ([f"2026-03-{day:02}" for day in range(2, 31, 7)], "02 to .*-30")):
        dagster = Dagster(partitions=keys)
        with pytest.raises(InvalidInputError, match=rf"needs one partition; give --partition \(.*{span}\)"):
            printed_by(dagster, "refresh_matches")
        assert dagster.launched == []


@pytest.mark.parametrize(
    ("job", "fields"),
    [
        ("train_model", {"blend", "include_running_season", "reason", "recipe", "regularisation", "submission"}),
        ("refresh_matches", {"accept_lost_results"}),
        ("approve_promotion", {"version", "name", "reason", "evidence"}),
    ],
)
def test_unknown_field_is_answered_with_the_fields(printed_by, tmp_path: Path, job: str, fields: set[str]) -> None:
    """The names are read from Dagster's own message, which has the whole schema."""
    settings = PipelineSettings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")
    config = run_config(job, ["regularization=1"])
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        dg.validate_run_config(build(settings).resolve_job_def(job), config)
    errors = [{"message": error.message} for error in refused.value.errors]
    dagster = Dagster({"__typename": "RunConfigValidationInvalid", "errors": errors})
    with pytest.raises(InvalidInputError) as failure:
        printed_by(dagster, job, "regularization=1")
    listed = str(failure.value).partition("The fields are ")[2].partition(".")[0]
    assert set(listed.split(", ")) == fields
    dagster.errors = errors
    assert set(field_names(job, "http://dagster.example")) == fields


@pytest.mark.parametrize("day", ["2026-03-10", "2026-03-15"])
def test_day_inside_a_week_is_answered_with_its_monday(printed_by, day: str) -> None:
    dagster = Dagster(partitions=[f"2026-03-{day:02}" for day in range(2, 31, 7)])
    with pytest.raises(InvalidInputError, match=f"the week of {day} is --partition 2026-03-09"):
        printed_by(dagster, "publish_forecasts", partition=day)
    assert dagster.launched == []


def test_long_wait_is_reported_twice_a_minute(printed_by, monkeypatch) -> None:
    """Behind a queue, minutes of silence look like a hang."""
    seconds = iter(range(0, 100_000, 5))
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)), sleep=lambda _: None)
    monkeypatch.setattr(dagster_client, "time", clock)
    dagster = Dagster(STARTED)
    dagster.earlier_statuses = ["QUEUED"] * 60
    waits = [int(line.rpartition("(")[2].split()[0]) for line in printed_by(dagster) if "waits in" in line]
    assert waits[-1] > 240
    assert max(later - earlier for earlier, later in itertools.pairwise(waits)) <= 35


def test_restart_of_the_code_server_is_waited_for(printed_by, monkeypatch) -> None:
    """After the machine has slept, the launch is refused or the run fails before its first step."""
    gone = {"__typename": "PythonError", "message": GONE}
    dagster = Dagster(gone, gone, STARTED)
    assert [line.partition(";")[0] for line in printed_by(dagster)] == [
        "Dagster's code server is restarting",
        "approve_promotion was launched: http://dagster.example/runs/abc",
        "approve_promotion succeeded after 0 s",
    ]
    assert len(dagster.launched) == 3
    monkeypatch.setattr(dagster_client, "CODE_SERVER_TIMEOUT_SECONDS", -1)
    with pytest.raises(TouchlineError, match=r"^Could not reach user code server"):
        printed_by(Dagster(gone))
    monkeypatch.setattr(dagster_client, "CODE_SERVER_TIMEOUT_SECONDS", 60)
    dagster = Dagster(
        STARTED,
        STARTED,
        status="FAILURE",
        events=[{"__typename": "RunFailureEvent", "message": "", "error": {"message": GONE}}],
    )
    dagster.events.append([FAILED])
    with pytest.raises(TouchlineError, match="version 9 is not the candidate"):
        printed_by(dagster)


@pytest.mark.parametrize(
    ("status", "in_progress", "expected"),
    [
        (
            "QUEUED",
            [],
            "waits in Dagster's queue, and nothing runs before it: is Dagster's daemon alive?",
        ),
        ("QUEUED", ["train_model"], "waits in Dagster's queue behind train_model (started)"),
        ("STARTING", [], "is starting"),
        ("STARTED", ["train_model"], "is still running"),
    ],
)
def test_launch_says_what_it_waits_for(
    printed_by, monkeypatch, status: str, in_progress: list[str], expected: str
) -> None:
    """It says for how long, too."""
    monkeypatch.setattr(dagster_client, "FIRST_REPORT_SECONDS", 0)
    dagster = Dagster(STARTED)
    dagster.earlier_statuses = [status]
    dagster.in_progress = [{"runId": job, "jobName": job, "status": "STARTED"} for job in in_progress]
    _, waiting, _ = printed_by(dagster)
    assert waiting == f"approve_promotion {expected} (0 s); Ctrl-C stops waiting, not the run"


def test_run_that_was_deleted_is_not_waited_for(printed_by) -> None:
    """Dagster does not know its status any more."""
    dagster = Dagster(STARTED)
    dagster.earlier_statuses = [None]
    with pytest.raises(TouchlineError, match="no longer knows the run of approve_promotion"):
        printed_by(dagster)


def test_dagster_that_does_not_answer_is_named() -> None:
    with pytest.raises(TouchlineError, match=r"Dagster does not answer at http://127\.0\.0\.1:9"):
        launch("evaluate_candidate", [], None, "http://127.0.0.1:9", print)


def test_arguments_are_fields_or_a_whole_configuration() -> None:
    fields = run_config("train_model", ["regularisation=0.005", "blend=true", "reason=a trial", "x=[1]", "y=NaN"])
    config = {"regularisation": 0.005, "blend": True, "reason": "a trial", "x": "[1]", "y": "NaN"}
    assert fields == {"ops": {"outcome_model": {"config": config}}}
    assert run_config("evaluate_candidate", ['{"ops": {}}']) == {"ops": {}}
    assert run_config("evaluate_candidate", []) == {}
    for job, words, sentence in (
        ("train_model", ["{x"], "not JSON"),
        ("train_model", ["Ada"], "'Ada' is neither FIELD=VALUE nor"),
        ("evaluate_candidate", ["a=1"], "evaluate_candidate takes no FIELD=VALUE"),
    ):
        with pytest.raises(InvalidInputError, match=sentence):
            run_config(job, words)


def test_each_job_with_a_configuration_has_its_step(tmp_path: Path) -> None:
    definitions = build(PipelineSettings(home=tmp_path))
    configured = {}
    for job in definitions.resolve_all_job_defs():
        steps = [node.name for node in job.all_node_defs if isinstance(node, dg.OpDefinition) and _configured(node)]
        if steps and not job.name.startswith("__"):
            (configured[job.name],) = steps
    assert configured == RUN_CONFIG_STEPS


def _configured(node: dg.OpDefinition) -> bool:
    return bool(getattr(node.config_schema.config_type, "fields", None))


def test_launch_needs_a_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))
    assert main(["launch", "evaluate_candidate"]) == 1
    assert capsys.readouterr().out.startswith(
        f"touchline: Touchline is not running in {tmp_path}; start `make up` first"
    )
    assert list(tmp_path.iterdir()) == []


def test_another_dagster_needs_no_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as the Dagster of a cluster, through a port-forward."""
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))
    monkeypatch.setattr(httpx, "post", Dagster(STARTED).post)
    assert main(["launch", "evaluate_candidate", "--dagster", "http://dagster.example/"]) == 0
    assert capsys.readouterr().out.startswith("evaluate_candidate was launched: http://dagster.example/runs/abc\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_launch_on_a_real_dagster(
    judged: Any,
    repository: Path,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command finds the port in the settings of the running stack."""
    home, port = judged.settings.home, free_port()
    monkeypatch.setenv("TOUCHLINE_HOME", str(home))
    monkeypatch.setenv("TOUCHLINE_DAGSTER_PORT", "")  # so that monkeypatch removes it after the test
    monkeypatch.delenv("TOUCHLINE_DAGSTER_PORT")
    with single_instance_lock(home), pages(judged, repository, port), daemon(judged, repository):
        write_run_settings(home, {"TOUCHLINE_DAGSTER_PORT": str(port)})
        assert main(["launch", "evaluate_candidate"]) == 0
        assert "evaluate_candidate succeeded after" in capsys.readouterr().out
        assert main(["launch", "train_model", "--fields"]) == 0
        assert "regularisation=…" in capsys.readouterr().out
        assert main(["launch", "approve_promotion", "version=9", "name=Ada", "reason=good", "evidence=0123"]) == 1
    failed = capsys.readouterr().out.splitlines()[-1]
    reason = "version 9 is not the candidate; the candidate is 2"
    assert failed.startswith(f"touchline: approve_promotion failed: {reason}; see ")
    assert json.loads((home / "lake" / "reports" / "gate.json").read_text())["candidate"] == 2
