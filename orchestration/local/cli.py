"""The `touchline` command."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_settings import SettingsError

from features.errors import InvalidInputError, TouchlineError
from features.io.environment import keep_compiled_modules, prepare_environment
from features.io.setting_names import SETTINGS_CLASSES, unknown_variables
from features.io.settings import Settings, is_set, use_home_for_compiled_code, validation_messages

if TYPE_CHECKING:
    from orchestration.local.services import LocalSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; returns the exit code."""
    command = build_parser().parse_args(arguments)
    # An unknown setting would be ignored, and an invalid one would stop a process halfway through the start.
    if problems := unknown_variables() or invalid_settings():
        for problem in problems:
            echo(f"touchline: {problem}")
        return 2
    settings = Settings()
    use_home_for_compiled_code(settings.home)  # before anything imports numba
    try:
        ignored = prepare_environment()
        if command.name in {"up", "dev"}:
            keep_compiled_modules()
        if ignored and command.name in {"up", "dev"}:
            echo(f"touchline: ignored {', '.join(ignored)}: only settings named TOUCHLINE_* apply")
        if command.name == "inspect":
            return _inspect(command.competitions)
        if command.name == "score":
            return _score(command.forecasts, command.json)
        if command.name == "launch":
            if command.list_fields:
                return _list_fields(command.job, command.dagster)
            return _launch(command.job, command.fields, command.partition, command.dagster)
        if command.name == "dev":
            return _dev()
        if command.name == "down":
            return _down(settings.home)
        return _up() if command.name == "up" else _advance(command.weeks)
    except TouchlineError as error:
        echo(f"touchline: {error}")
        return 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="touchline", description="Calibrated football forecasts, on this machine.")
    commands = parser.add_subparsers(dest="name", required=True)
    commands.add_parser("up", help="start every service on this machine; Ctrl-C stops them")
    commands.add_parser("down", help="stop the run of this home, and end what a killed one has left")
    commands.add_parser("dev", help="API, worker and viewer that restart when code is saved; run `up` once before")
    advance = commands.add_parser("advance", help="move the clock of the replayed season forward while `up` is running")
    advance.add_argument("--weeks", type=int, default=1, help="number of weeks (default 1)")
    launch = commands.add_parser("launch", help="launch a Dagster job and wait for its outcome")
    launch.add_argument("job", help="for example train_model, approve_promotion, rollback_production, review_drift")
    launch.add_argument(
        "fields",
        nargs="*",
        metavar="FIELD=VALUE",
        help="optional: run configuration fields, or the whole configuration as JSON",
    )
    launch.add_argument("--fields", action="store_true", dest="list_fields", help="list the job's fields and stop")
    launch.add_argument("--partition", help="competition, or Monday of the week, if the job is partitioned")
    launch.add_argument(
        "--dagster",
        metavar="URL",
        help="address of another Dagster, for example that of a port-forward (default: that of the running `up`)",
    )
    inspect = commands.add_parser("inspect", help="report the contents of the source and the problems in it")
    inspect.add_argument("competitions", nargs="*", help="competitions to inspect (default: those of the settings)")
    score = commands.add_parser("score", help="score anybody's forecasts beside ours, the references and the odds")
    score.add_argument("forecasts", help="CSV or parquet file, or its http(s) address: clubs, day, three probabilities")
    score.add_argument("--json", action="store_true", help="print JSON, with every refused row")
    return parser


def invalid_settings() -> list[str]:
    """One sentence for each setting that a process would reject.

    The settings classes are named by strings, because importing all of them takes seconds and some may not be
    installed. A class is imported only if one of its own settings is set.
    """
    sentences: list[str] = []
    for settings_class, fields in SETTINGS_CLASSES.items():
        if is_set(fields):
            try:
                resolve_name(settings_class)()
            except (ValidationError, SettingsError) as error:
                sentences += validation_messages(error)
            except InvalidInputError as error:
                sentences.append(str(error))
            except ModuleNotFoundError:
                continue
    return list(dict.fromkeys(sentences))


def echo(line: str) -> None:
    """Print a line and flush it, so that it is not held back if the output is piped."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _up() -> int:
    # Imported here: the other commands need neither the supervisor nor the broker.
    from orchestration.local.run import up
    from orchestration.local.services import LocalSettings

    return up(LocalSettings(), echo)


def _down(home: Path) -> int:
    from orchestration.local.run import down

    return down(home, echo)


def _dev() -> int:
    from orchestration.local.dev_reload import dev
    from orchestration.local.services import LocalSettings

    return dev(LocalSettings(), echo)


def _inspect(competitions: Sequence[str]) -> int:
    from orchestration.evaluation_settings import EvaluationSettings
    from orchestration.local.inspection import inspect

    # Progress goes to stderr, so that the report can be piped.
    report = inspect(EvaluationSettings(), competitions, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - for a terminal
    echo(report.text)
    return 1 if report.unusable else 0


def _score(forecasts: str, as_json: bool) -> int:
    from orchestration.evaluation_settings import EvaluationSettings
    from orchestration.local.scoring import score

    scoring = score(EvaluationSettings(), forecasts, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - for a terminal
    echo(json.dumps(scoring.document(), indent=2) if as_json else scoring.text())
    return 0


def _settings_of_running_stack() -> LocalSettings:
    """The settings of the `up` that is running in this home; this command's own environment takes precedence."""
    from features.io.settings import apply_defaults
    from orchestration.local.preflight import read_run_settings
    from orchestration.local.services import LocalSettings

    apply_defaults(read_run_settings(Settings().home))
    return LocalSettings()


def _launch(job: str, fields: Sequence[str], partition: str | None, dagster: str | None) -> int:
    from orchestration.local.dagster_client import launch

    launch(job, fields, partition, _dagster_address(dagster), echo)
    return 0


def _list_fields(job: str, dagster: str | None) -> int:
    from orchestration.local.dagster_client import field_names

    names = field_names(job, _dagster_address(dagster))
    echo(f"{job} takes {', '.join(f'{name}=…' for name in names)}" if names else f"{job} takes no FIELD=VALUE")
    return 0


def _dagster_address(dagster: str | None) -> str:
    return dagster.rstrip("/") if dagster else _settings_of_running_stack().addresses["Dagster"][0]


def _advance(weeks: int) -> int:
    from orchestration.local.preflight import secure_home
    from orchestration.local.service_logs import rotate

    local = _settings_of_running_stack()  # first, so that nothing is created if no `up` is running
    secure_home(local.home, local.lake)
    (local.home / "logs").mkdir(exist_ok=True)
    # Dagster, MLflow and their libraries log every step to stderr; the terminal shows the steps of the pipeline only.
    rotate(local.home / "logs" / "advance.log")
    with (local.home / "logs" / "advance.log").open("w") as log, contextlib.redirect_stderr(log):
        from orchestration.local.advance import advance
        from orchestration.settings import PipelineSettings

        advance(local, PipelineSettings(), weeks, echo)
    return 0


if __name__ == "__main__":
    sys.exit(main())
