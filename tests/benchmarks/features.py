"""How fast matches become model input: `PYTHONPATH=. python -P tests/benchmarks/features.py [matches_all.parquet]`
(-P, because this file is called like the package).

Not a test: figures depend on the machine. Prints the time of the whole way from a raw table to model input after one
warm-up, the growth with the size of a generated table, peak memory, the cost of one more matchday, and of one match
online. penaltyblog's Elo and pi with probabilities run over the same table, in an environment made for it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from features.blend import RatingBlend
from features.io.sources import bundled
from features.matches import Status, outcomes
from features.matrix import GOAL_FEATURES, model_input
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, compute_ratings

RAW = {
    "home_team": "home_team",
    "away_team": "away_team",
    "home_goals": "home_goals",
    "away_goals": "away_goals",
    "shots_h": "home_shots",
    "shots_a": "away_shots",
    "sot_h": "home_shots_on_target",
    "sot_a": "away_shots_on_target",
    "neutral": "neutral",
}


def timed(call: Callable[[], object], repeat: int = 3) -> float:
    """Best of several runs, in seconds of one core: others on the machine do not count."""
    best = float("inf")
    for _ in range(repeat):
        begin = time.process_time()
        call()
        best = min(best, time.process_time() - begin)
    return best


def table_of(raw: pd.DataFrame) -> pd.DataFrame:
    """The columns that ratings need, from the raw table."""
    slugs = raw["league"].cat.rename_categories(lambda name: name.lower().replace(":", "-", 1)).astype("str")
    out = raw[list(RAW)].rename(columns=RAW)
    out["competition"] = slugs
    out["season"] = raw["season"].astype("str")
    out["kick_off"] = pd.to_datetime(raw["date"]).dt.tz_localize("UTC").dt.as_unit("us")
    out["status"] = np.where(raw["home_goals"] >= 0, Status.PLAYED.value, Status.SCHEDULED.value)
    counts = [
        name for name in map(str, out.columns) if name.startswith(("home_", "away_")) and not name.endswith("team")
    ]
    out[counts] = out[counts].astype("float64")
    return out


def model_input_of(table: pd.DataFrame) -> np.ndarray:
    """Ratings and model input of a whole table."""
    run = compute_ratings(table)
    return model_input(run.home, run.away, table["neutral"].to_numpy(bool))


def generated(n: int) -> pd.DataFrame:
    """Leagues of 20 clubs, 380 matches a season, 20 seasons each, as many leagues as it takes."""
    rng = np.random.default_rng(0)
    row = np.arange(n)
    league, season, match = row // 7600, row % 7600 // 380, row % 380
    home, shift = match % 20, 1 + match // 20
    day = pd.Timestamp("2000-08-01", tz="UTC") + pd.to_timedelta(season * 365 + match // 10 * 7, unit="D")
    clubs = pd.Series(league).astype("str") + "-"
    columns = {
        "match_id": pd.Series(row).astype("str"),
        "competition": "x" + pd.Series(league).astype("str") + "-league",
        "season": pd.Series(2000 + season).astype("str"),
        "kick_off": day,
        "home_team": clubs + pd.Series(home).astype("str"),
        "away_team": clubs + pd.Series((home + shift) % 20).astype("str"),
        "neutral": False,
        "status": Status.PLAYED.value,
    }
    for side in ("home", "away"):
        shots = rng.poisson(12.0, n)
        on_target = rng.binomial(shots, 0.35)
        counts = {"shots": shots, "shots_on_target": on_target, "goals": rng.binomial(on_target, 0.33)}
        columns |= {f"{side}_{name}": count.astype(float) for name, count in counts.items()}
    return pd.DataFrame(columns).sort_values("kick_off", kind="stable", ignore_index=True)


def online() -> tuple[RatingBlend, np.ndarray, np.ndarray]:
    """A fitted head and the states of two clubs."""
    matches = bundled.load()
    run = compute_ratings(matches)
    x = model_input(run.home, run.away, np.zeros(len(matches), bool))[:, : len(GOAL_FEATURES)]
    states = run.team_states[list(STATE_COLUMNS)].to_numpy(float)
    return outcome_model(features=GOAL_FEATURES).fit(x, outcomes(matches)), states[:1], states[1:2]


SIZES = (5_000, 50_000, 500_000, 2_000_000)


def say(what: str, reached: float, limit: float, unit: str, at_least: bool = False) -> None:
    """A figure, its target, and whether it is met."""
    met = reached >= limit if at_least else reached <= limit
    sign = ">=" if at_least else "<="
    print(f"{what}: {reached:.3g} {unit}, target {sign} {limit:g}: {'met' if met else 'MISSED'}", flush=True)


def main() -> None:
    """Print all figures with their targets."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/matches_all.parquet")
    compute_ratings(bundled.load())  # compiles, once a machine
    if path.is_file():
        raw = pd.read_parquet(path)
        raw = raw[raw["home_goals"] >= 0]
        seconds = timed(lambda: model_input_of(table_of(raw)))
        say(f"raw table of {len(raw)} matches to model input", seconds, 5, "s")
        _penaltyblog(raw, seconds)
    cost = {}
    for n in SIZES:
        table = generated(n)
        seconds = timed(partial(model_input_of, table), repeat=1 if n > 100_000 else 3)
        cost[n] = seconds / n
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{n:>9} generated matches: {seconds:7.3f} s, {cost[n] * 1e6:.2f} µs a match, peak {peak:.2f} GB")
    say("cost of a match among 2,000,000 against one among 5,000", cost[SIZES[-1]] / cost[SIZES[0]], 1.5, "times")
    say("peak memory at 2,000,000 matches", peak, 2, "GB")
    table = generated(500_000)
    last = table["kick_off"].max()
    before, new = table[table["kick_off"] < last], table[table["kick_off"] == last]
    checkpoint = compute_ratings(before).checkpoint
    one, whole = timed(lambda: compute_ratings(new, since=checkpoint)), timed(lambda: compute_ratings(table), repeat=1)
    say(f"one more matchday ({len(new)} of 500,000 matches), share of a full run", one / whole, 0.1, "of it")
    model, home, away = online()
    ground = np.array([False])

    def ask() -> None:
        for _ in range(200):
            model.predict_proba(model_input(home, away, ground)[:, : len(GOAL_FEATURES)])

    say("one match online, states to probabilities", timed(ask) / 200 * 1e3, 1, "ms")


PENALTYBLOG = """
import csv, sys, time
from penaltyblog.ratings import Elo, PiRatingSystem
with open(sys.argv[1], newline="") as file:
    rows = [(home, away, int(goals) - int(against)) for home, away, goals, against in csv.reader(file)]
elo, pi, begin = Elo(), PiRatingSystem(), time.process_time()
for home, away, difference in rows:
    elo.calculate_match_probabilities(home, away)
    pi.calculate_match_probabilities(home, away)
    elo.update_ratings(home, away, 0 if difference > 0 else 1 if difference == 0 else 2)
    pi.update_ratings(home, away, difference)
print(time.process_time() - begin)
"""
"""The same table through penaltyblog's ratings, timed without its start and without reading."""

PENALTYBLOG_VERSION = "1.13.1"


def _penaltyblog(raw: pd.DataFrame, ours: float) -> None:
    """penaltyblog beside us, in an environment of its own that is deleted afterwards: our lock stays without it."""
    with tempfile.TemporaryDirectory() as folder:
        python, rows = Path(folder, "venv", "bin", "python"), Path(folder, "rows.csv")
        uv = [sys.executable, "-m", "uv"]
        try:
            subprocess.run([*uv, "venv", "-q", "-p", sys.executable, python.parents[1]], check=True)
            subprocess.run(
                [*uv, "pip", "install", "-q", "-p", python, f"penaltyblog=={PENALTYBLOG_VERSION}"], check=True
            )
        except subprocess.CalledProcessError as error:
            print(f"penaltyblog cannot be installed: no comparison ({error})")
            return
        sides = raw[["home_team", "away_team"]].astype("str")
        goals = raw[["home_goals", "away_goals"]].astype(int)
        pd.concat([sides, goals], axis=1).to_csv(rows, header=False, index=False)
        told = subprocess.run([python, "-c", PENALTYBLOG, rows], check=True, capture_output=True, text=True)
    theirs = float(told.stdout)
    what = f"penaltyblog {PENALTYBLOG_VERSION}, Elo and pi with probabilities of the same table, {theirs:.1f} s"
    say(what, theirs / ours, 10, "times ours", at_least=True)


if __name__ == "__main__":
    main()
