"""Print all figures on forecast quality that the documentation quotes, from the available data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from features import backtest, season_backtest, tuning
from features.competitions import COMPETITIONS
from features.errors import LeakageError
from features.io.sources import bundled, football_data
from features.matches import ODDS
from features.matrix import GOAL_FEATURES
from features.odds import CLOSING_ODDS
from features.ratings.params import MULTI_TIER, SINGLE_TIER, RatingParams

TOP_FIVE = ("eng", "ger", "esp", "ita", "fra")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the back-test; return 1 if it detects leakage or if tuning does not confirm the recorded parameters."""
    parser = argparse.ArgumentParser(prog="make backtest", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of football-data.co.uk files named E0_2324.csv and so on")
    parser.add_argument(
        "--tune",
        action="store_true",
        help="tune the parameters on earlier seasons and compare them with the recorded ones",
    )
    options = parser.parse_args(arguments)
    folder = options.data if options.data is not None and options.data.is_dir() else None
    try:
        with threadpool_limits(1):  # the problems are small: threads would mostly wait for each other
            as_recorded = _tune(folder) if options.tune else True
            _report(folder)
    except LeakageError as error:
        print(f"STOPPED: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    return 0 if as_recorded else 1


def _report(folder: Path | None) -> None:
    """Print the back-tests of match and season forecasts."""
    matches = (
        bundled.load() if folder is None else with_odds_and_shots(bundled.load(), read(folder, ("eng-premier-league",)))
    )
    premier = backtest.evaluate(matches, 2021, 2025)
    _print(backtest.report("Premier League, bundled data", premier, "model, goals"))
    _print(backtest.verdicts(premier, backtest.PREMIER_LEAGUE))
    rows = season_backtest.forecast_at(matches, bundled.COMPETITION, 2018)
    _print(season_backtest.report("Premier League, bundled data", rows))
    if folder is None:
        _print("Skipped the top five leagues: they need --data with football-data.co.uk files")
        return
    matches = read(folder)
    top = backtest.evaluate(matches, 2019, 2023)
    for model in ("model, goals", "model, shots", "model, market", "model, odds"):
        _print(backtest.report("Top five leagues, tiers pooled by country", top, model))
    _print(backtest.verdicts(top, backtest.TOP_FIVE))
    leagues = [league.slug for league in COMPETITIONS if league.country in TOP_FIVE and league.tier == 1]
    rows = pd.concat([season_backtest.forecast_at(matches, slug, 2018) for slug in leagues], ignore_index=True)
    _print(season_backtest.report("Top five leagues", rows))


def _tune(folder: Path | None) -> bool:
    """Repeat the tuning behind `features.ratings.params` and the model, on seasons before those that are reported.

    The parameters of a league without lower tiers are also tuned on five leagues, because the bundled league alone has
    too few promoted clubs.

    Returns
    -------
    Whether the chosen parameters equal the recorded ones.
    """
    if folder is None:
        _print("Skipped tuning: --tune needs --data with football-data.co.uk files")
        return True
    tiers = read(folder)
    tiers = tiers[tiers["season"] < "2019"].reset_index(drop=True)
    top, pools = backtest.top_tier(tiers), backtest.pools(tiers, 2011)
    for tier, rows in (("first", top), ("second", ~top)):
        _print(backtest.report(f"Goals only, {tier} tiers of five countries", pools.only(rows), "pooled"))
    first = tiers[top].reset_index(drop=True)
    goals, shots = ("elo", "pi", "poisson", "gain"), ("shots_on_target", "shots")
    as_recorded = True
    for title, matches, begin, recorded in (
        ("first tiers of five countries alone", first, tuning.INITIAL_PARAMS, SINGLE_TIER),
        ("two tiers of five countries", tiers, tuning.INITIAL_PARAMS_MULTI_TIER, MULTI_TIER),
    ):
        choice = tuning.choose(matches, begin, goals, width=3, caution=0.25, on_progress=_print)
        choice = tuning.choose(matches, choice.params, shots, width=3, caution=0.25, on_progress=_print)
        _print_choice(f"{title} to 2018/19", choice, recorded)
        _print(f"  log loss by inverse penalty C: {tuning.penalty(matches, choice.params, GOAL_FEATURES)}")
        as_recorded &= choice.params == recorded
    return as_recorded


def _print_choice(title: str, choice: tuning.Choice, recorded: RatingParams) -> None:
    """Print the chosen parameters, and the recorded ones if they differ."""
    _print(f"Chosen on {title}, N={choice.n}, {choice.evaluations} evaluations, log loss {choice.losses}")
    for name, values in asdict(choice.params).items():
        same = values == asdict(recorded)[name]
        _print(f"  {name}: {values}{'' if same else f', recorded: {asdict(recorded)[name]}'}")


def with_odds_and_shots(matches: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Add the odds and the shots of another matches table, matched by match_id."""
    columns = [*ODDS, "odds_known_at", *CLOSING_ODDS, *backtest.SHOTS]
    return matches.drop(columns=columns).merge(other[["match_id", *columns]], "left", "match_id", validate="1:1")


def read(folder: Path, competitions: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the matches of the top five countries from a folder of football-data.co.uk files.

    Parameters
    ----------
    folder : files named E0_2324.csv and so on.
    competitions : slugs to read; None for all divisions of the five countries.
    """
    tables = []
    for competition in COMPETITIONS:
        if competition.country not in TOP_FIVE or (competitions and competition.slug not in competitions):
            continue
        for path in sorted(folder.glob(f"{competition.football_data}_*.csv")):
            years = path.stem.split("_")[1]
            season = f"{'19' if years > '80' else '20'}{years[:2]}-{years[2:]}"
            division = str(competition.football_data)
            parsed = football_data.parse(path.read_bytes(), path.name, competition.slug, season, division)
            tables.append(parsed.matches)
    return pd.concat(tables, ignore_index=True).sort_values(["kick_off", "match_id"], ignore_index=True)


def _print(text: str) -> None:
    print(text, end="\n\n" if "\n" in text else "\n", flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
