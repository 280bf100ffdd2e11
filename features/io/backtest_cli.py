"""`make backtest`: print every figure that the README and the evaluation quote, from the available data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from features import backtest, season_backtest, tuning
from features.competitions import CATALOGUE
from features.errors import LeakageError
from features.io.sources import bundled, football_data
from features.matches import ODDS
from features.matrix import GOAL_FEATURES
from features.odds import CLOSING_ODDS
from features.ratings.params import ALONE, TIERED, RatingParams

TOP_FIVE = ("eng", "ger", "esp", "ita", "fra")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the back-test; exit code 1 if it finds leakage, or if tuning finds other parameters."""
    parser = argparse.ArgumentParser(prog="make backtest", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of football-data.co.uk files named E0_2324.csv and so on")
    parser.add_argument("--tune", action="store_true", help="choose the parameters again, on earlier seasons")
    given = parser.parse_args(arguments)
    folder = given.data if given.data is not None and given.data.is_dir() else None
    try:
        with threadpool_limits(1):  # the problems are small: threads would wait for each other most of the time
            as_recorded = _tune(folder) if given.tune else True
            _report(folder)
    except LeakageError as error:
        print(f"STOPPED: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    return 0 if as_recorded else 1


def _report(folder: Path | None) -> None:
    matches = bundled.load() if folder is None else with_market(bundled.load(), read(folder, ("eng-premier-league",)))
    premier = backtest.evaluate(matches, 2021, 2025)
    _say(backtest.report("Premier League, bundled data, goals only", premier, "model, goals"))
    _say(backtest.verdicts(premier, backtest.PREMIER_LEAGUE))
    rows = season_backtest.forecast_at(matches, bundled.COMPETITION, 2018)
    _say(season_backtest.report("Premier League, bundled data", rows))
    if folder is None:
        _say("The top five leagues need --data with football-data.co.uk files: skipped")
        return
    matches = read(folder)
    top = backtest.evaluate(matches, 2019, 2023)
    for model in ("model, goals", "model, shots", "model, odds"):
        _say(backtest.report("Top five leagues, tiers pooled by country", top, model))
    _say(backtest.verdicts(top, backtest.TOP_FIVE))
    leagues = [one.slug for one in CATALOGUE if one.country in TOP_FIVE and one.tier == 1]
    rows = pd.concat([season_backtest.forecast_at(matches, slug, 2018) for slug in leagues], ignore_index=True)
    _say(season_backtest.report("Top five leagues", rows))


def _tune(folder: Path | None) -> bool:
    """The choices behind `features.ratings.params` and the model, on seasons before those that are reported.

    For leagues alone, too, five of them tell more than the bundled one: the promoted of its few seasons are a handful.
    True if the parameters that are found are those that are recorded.
    """
    if folder is None:
        _say("--tune needs --data with football-data.co.uk files: skipped")
        return True
    tiers = read(folder)
    tiers = tiers[tiers["season"] < "2019"].reset_index(drop=True)
    top, pools = backtest.top_tier(tiers), backtest.pools(tiers, 2011)
    for tier, rows in (("first", top), ("second", ~top)):
        _say(backtest.report(f"Goals only, {tier} tiers of five countries", pools.only(rows), "pooled"))
    first = tiers[top].reset_index(drop=True)
    goals, shots = ("elo", "pi", "poisson", "gain"), ("shots_on_target", "shots")
    same = True
    for title, matches, begin, recorded in (
        ("first tiers of five countries alone", first, tuning.INITIAL_PARAMS, ALONE),
        ("two tiers of five countries", tiers, tuning.INITIAL_PARAMS_TIERED, TIERED),
    ):
        found = tuning.choose(matches, begin, goals, width=3, caution=0.25, on_progress=_say)
        found = tuning.choose(matches, found.params, shots, width=3, caution=0.25, on_progress=_say)
        _chosen(f"{title} to 2018/19", found, recorded)
        _say(f"  by the head's penalty: {tuning.penalty(matches, found.params, GOAL_FEATURES)}")
        same &= found.params == recorded
    return same


def _chosen(title: str, choice: tuning.Choice, recorded: RatingParams) -> None:
    _say(f"Chosen on {title}, N={choice.n}, {choice.evaluations} evaluations, log loss {choice.losses}")
    for name, values in asdict(choice.params).items():
        same = values == asdict(recorded)[name]
        _say(f"  {name}: {values}{'' if same else f', recorded: {asdict(recorded)[name]}'}")


def with_market(matches: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
    """The matches with the odds that another table has for them."""
    columns = [*ODDS, "odds_known_at", *CLOSING_ODDS]
    return matches.drop(columns=columns).merge(market[["match_id", *columns]], "left", "match_id", validate="1:1")


def read(folder: Path, competitions: Sequence[str] | None = None) -> pd.DataFrame:
    """All matches of the top five countries' divisions in a folder of football-data.co.uk files, or of some of them."""
    tables = []
    for competition in CATALOGUE:
        if competition.country not in TOP_FIVE or (competitions and competition.slug not in competitions):
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
