"""The `touchline` command."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_settings import SettingsError

from features.errors import TouchlineError
from features.io.settings import SETTINGS_CLASSES, is_set, unknown_variables, validation_messages

if TYPE_CHECKING:
    from orchestration.local.stack import LocalSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="touchline", description="Football results in, calibrated forecasts out.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything on this machine; Ctrl-C stops it")
    advance = commands.add_parser("advance", help="move the replayed season on, beside a running `up`: results come in")
    advance.add_argument("--weeks", type=int, default=1, help="how many weeks (default 1)")
    launch = commands.add_parser("launch", help="launch a job of a running `up`, wait for it and tell how it ended")
    launch.add_argument("job", help="for example train_model, approve_promotion, rollback_production, review_drift")
    launch.add_argument(
        "fields", nargs="*", metavar="FIELD=VALUE", help="what it is told, or one run configuration as JSON"
    )
    launch.add_argument("--partition", help="the competition, or the Monday of the week, of a job that is cut by them")
    inspect = commands.add_parser(
        "inspect", help="what the source holds and what is wrong with it, without the pipeline"
    )
    inspect.add_argument("competitions", nargs="*", help="competitions to look at (default: those of the settings)")
    choice = parser.parse_args(arguments)
    # A name that is no setting would be ignored, and a value that none of the processes can use would stop one midway.
    if mistaken := unknown_variables() or unusable():
        for sentence in mistaken:
            say(f"touchline: {sentence}")
        return 2
    try:
        if choice.command == "inspect":
            return _inspect(choice.competitions)
        if choice.command == "launch":
            return _launch(choice.job, choice.fields, choice.partition)
        return _up() if choice.command == "up" else _advance(choice.weeks)
    except TouchlineError as error:
        say(f"touchline: {error}")
        return 1


def unusable() -> list[str]:
    """A sentence for each setting that a process will refuse.

    The settings of the other processes are found by name, as the Procfile names what is started: the command belongs to
    all of them and needs none, and where one is not installed nobody reads its settings.
    """
    sentences: list[str] = []
    for kind, fields in SETTINGS_CLASSES.items():
        if is_set(fields):  # only what was given can be wrong, and some take seconds to import
            try:
                resolve_name(kind)()
            except (ValidationError, SettingsError) as error:
                sentences += validation_messages(error)
            except ModuleNotFoundError:
                continue
    return list(dict.fromkeys(sentences))


def say(line: str) -> None:
    """Print a line at once, even into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _up() -> int:
    # Imported here: the other commands need neither the supervisor nor the broker.
    from orchestration.local.stack import LocalSettings, up

    return up(LocalSettings(), say)


def _inspect(competitions: Sequence[str]) -> int:
    from features.io.settings import Settings
    from features.io.sources.inspection import inspect_source

    # progress aside, so that the report can go through a pipe
    found = inspect_source(Settings(), competitions, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - for a terminal
    say(found.text)
    return 1 if found.unusable else 0


def _beside() -> LocalSettings:
    """The settings of the `up` that runs in this home, where this command was given no others; refused without one."""
    from features.io.settings import Settings, inherit
    from orchestration.local.preflight import read_run_settings
    from orchestration.local.stack import LocalSettings

    inherit(read_run_settings(Settings().home))
    return LocalSettings()


def _launch(job: str, fields: Sequence[str], partition: str | None) -> int:
    local = _beside()
    from orchestration.local.dagster_client import launch

    launch(job, fields, partition, local.addresses["Dagster"][0], say)
    return 0


def _advance(weeks: int) -> int:
    home = _beside().home  # before anything is made: without a run there is nothing to move on
    (home / "logs").mkdir(exist_ok=True)
    # Dagster, MLflow and their libraries tell every step on stderr; a person wants the steps of the pipeline.
    with (home / "logs" / "advance.log").open("w") as log, contextlib.redirect_stderr(log):
        from orchestration.local.advance import advance

        advance(weeks, say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
