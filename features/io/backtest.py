"""`make backtest`: print every figure that the README and the evaluation quote, from the data that is at hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from features import backtest, midseason, tuning
from features.competitions import CATALOGUE, tier_of
from features.errors import LeakageError
from features.io.sources import bundled, football_data
from features.matrix import GOAL_FEATURES
from features.ratings.params import ALONE, TIERED, RatingParams

TOP_FIVE = ("eng", "ger", "esp", "ita", "fra")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the back-test; exit code 1 where the leak alarm stops it."""
    parser = argparse.ArgumentParser(prog="make backtest", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of football-data.co.uk files named E0_2324.csv and so on")
    parser.add_argument("--tune", action="store_true", help="choose the parameters again, on earlier seasons")
    given = parser.parse_args(arguments)
    try:
        if given.tune:
            _tune(given.data)
        _report(given.data)
    except LeakageError as error:
        print(f"STOPPED: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    return 0


def _report(folder: Path | None) -> None:
    premier = backtest.evaluate(bundled.load(), 2021, 2025, with_extras=False)
    _say(backtest.report("Premier League, bundled data, goals only", premier, "model, goals"))
    rows = midseason.issued(bundled.load(), 2018)
    _say(midseason.report("Premier League, bundled data", rows, bundled.COMPETITION))
    if folder is None or not folder.is_dir():
        _say("The top five leagues need --data with football-data.co.uk files: left out")
        return
    top = backtest.evaluate(read(folder), 2019, 2023, with_extras=True)
    for model in ("model, goals", "model, shots", "model, odds"):
        _say(backtest.report("Top five leagues, tiers pooled by country", top, model))


def _tune(folder: Path | None) -> None:
    """The choice behind `features.ratings.params`, on seasons before those that are reported.

    For leagues alone, too, five of them tell more than the bundled one: the promoted of its few seasons are a handful.
    """
    if folder is None or not folder.is_dir():
        _say("--tune needs --data with football-data.co.uk files: left out")
        return
    tiers = read(folder)
    tiers = tiers[tiers["season"] < "2019"].reset_index(drop=True)
    first = tiers[tiers["competition"].map(tier_of).eq(1)].reset_index(drop=True)
    goals, shots = ("elo", "pi", "poisson", "gain"), ("shots_on_target", "shots")
    for title, matches, begin, recorded in (
        ("first tiers of five countries alone", first, tuning.BEGIN, ALONE),
        ("two tiers of five countries", tiers, tuning.BEGIN_TIERED, TIERED),
    ):
        found = tuning.choose(matches, begin, goals, width=3, caution=0.25, say=_say)
        found = tuning.choose(matches, found.params, shots, width=3, caution=0.25, say=_say)
        _chosen(f"{title} to 2018/19", found, recorded)
        _say(f"  by the head's penalty: {tuning.penalty(matches, found.params, GOAL_FEATURES)}")


def _chosen(title: str, choice: tuning.Choice, recorded: RatingParams) -> None:
    _say(f"Chosen on {title}, N={choice.n}, {choice.evaluations} evaluations, log loss {choice.losses}")
    for name, values in asdict(choice.params).items():
        same = values == asdict(recorded)[name]
        _say(f"  {name}: {values}{'' if same else f', recorded: {asdict(recorded)[name]}'}")


def read(folder: Path) -> pd.DataFrame:
    """All matches of the catalogue's divisions in a folder of football-data.co.uk files."""
    tables = []
    for competition in CATALOGUE:
        if competition.country not in TOP_FIVE:
            continue
        for path in sorted(folder.glob(f"{competition.football_data}_*.csv")):
            years = path.stem.split("_")[1]
            season = f"{'19' if years > '80' else '20'}{years[:2]}-{years[2:]}"
            division = str(competition.football_data)
            table, _, _ = football_data.parse(path.read_bytes(), path.name, competition.slug, season, division)
            tables.append(table)
    return pd.concat(tables, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def _say(text: str) -> None:
    print(text, end="\n\n" if "\n" in text else "\n", flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
