"""Compare the model, the references and recipes on frozen sets of matches; write one table as Markdown and JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from features.arena import BenchmarkSet, Result, contest, document, markdown
from features.errors import LeakageError, TouchlineError
from features.io import benchmark_sets
from features.io.installed_recipes import InstalledRecipes
from features.io.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the arena; return 1 if a set cannot be read, a recipe is unknown or leakage is detected."""
    options = _parser().parse_args(arguments)
    settings = Settings()
    installed = InstalledRecipes(settings.recipes)
    try:
        chosen = installed.names() if options.recipes is None else [name for name in options.recipes.split(",") if name]
        recipes = {name: installed.get(name) for name in chosen}
        loaders, skipped = _sets(options)
        results: list[Result] = []
        with threadpool_limits(1):  # the problems are small: threads would mostly wait for each other
            for name, load in loaders.items():
                print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201 - progress of a command
                results.append(contest(load(), recipes))
    except LeakageError as error:
        print(f"STOPPED: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    except TouchlineError as error:
        print(f"arena: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    text, folder = markdown(results, skipped), options.out or settings.home / "arena"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arena.md").write_text(text)
    (folder / "arena.json").write_text(json.dumps(document(results, skipped), indent=2) + "\n")
    print(text)  # noqa: T201 - a command's output
    print(f"written to {folder}/arena.md and arena.json")  # noqa: T201 - a command's output
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make arena", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of football-data.co.uk files named E0_2324.csv and so on")
    parser.add_argument("--fivethirtyeight", type=Path, help="spi_matches.csv of FiveThirtyEight; needs --data")
    parser.add_argument(
        "--challenge",
        type=Path,
        help="folder of the 2023 Soccer Prediction Challenge: training and prediction set, CSV",
    )
    parser.add_argument("--recipes", help="names of recipes, separated by commas (default: all that are installed)")
    parser.add_argument(
        "--out", type=Path, help="folder for arena.md and arena.json (default: arena in TOUCHLINE_HOME)"
    )
    return parser


def _sets(options: argparse.Namespace) -> tuple[dict[str, Callable[[], BenchmarkSet]], dict[str, str]]:
    """Return the loaders of the sets whose files are given, and why each other one is left out."""
    data, archive, folder = options.data, options.fivethirtyeight, options.challenge
    loaders: dict[str, Callable[[], BenchmarkSet]] = {"premier-league": lambda: benchmark_sets.premier_league(data)}
    skipped: dict[str, str] = {}
    if data is None:
        skipped["top-five"] = "it needs --data with football-data.co.uk files"
    else:
        loaders["top-five"] = lambda: benchmark_sets.top_five(data)
    if archive is None or data is None:
        skipped["fivethirtyeight"] = "it needs --fivethirtyeight with spi_matches.csv, and --data"
    else:
        loaders["fivethirtyeight"] = lambda: benchmark_sets.fivethirtyeight(archive, data)
    if folder is None:
        skipped["challenge-2023"] = "it needs --challenge with the files of the challenge"
    else:
        loaders["challenge-2023"] = lambda: benchmark_sets.challenge(folder)
    return loaders, skipped


if __name__ == "__main__":
    sys.exit(main())
