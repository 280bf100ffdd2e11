"""The `touchline` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="touchline", description="Football results in, calibrated forecasts out.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything on this machine; Ctrl-C stops it")
    choice = parser.parse_args(arguments)
    try:
        return {"up": _up}[choice.command]()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            say(f"touchline: setting TOUCHLINE_{name}={problem['input']!r}: {problem['msg']}")
        return 2


def say(line: str) -> None:
    """Print a line at once, even into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _up() -> int:
    # Imported here: the other commands need neither the supervisor nor the broker.
    from orchestration.local import LocalSettings, up

    return up(LocalSettings(), say)


if __name__ == "__main__":
    sys.exit(main())
