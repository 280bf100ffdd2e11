"""How well a league of ten clubs is forecast in its first seasons: `python -m tests.benchmarks.newcomers [FOLDER]`.

Cuts small leagues out of real ones: the matches among ten clubs of a first tier, over five seasons. Each season is
forecast by a head that knows the cut's earlier seasons only, shrunk with several strengths towards a head of the
bundled league; `own` is the head without shrinkage. The base rate is that of the cut's earlier seasons but its first,
and that of the bundled league in the first two. FOLDER holds files in football-data.co.uk's layout, by default those of
the tests. It takes 20 s.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from features.io.sources import bundled
from features.io.sources.football_data import parse
from features.matches import outcomes
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.metrics import base_rate, rps
from features.models import outcome_model
from features.prior_head import FEW_MATCHES, PriorHeads
from features.rating_history import compute_ratings
from features.splits import after_burn_in, season_starts

PULLS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
CLUBS, SEASONS = 10, 5
LEAGUES = {"D1": "deu-bundesliga", "F1": "fra-ligue-1", "I1": "ita-serie-a", "SP1": "esp-primera-division"}


def leagues(folder: Path) -> Iterator[pd.DataFrame]:
    """First tiers from 2017/18 on: earlier seasons leave the bundled league too little to learn from."""
    for division, slug in LEAGUES.items():
        files = sorted(folder.glob(f"{division}_1[7-9]*.csv")) + sorted(folder.glob(f"{division}_2*.csv"))
        tables = [
            parse(file.read_bytes(), file.name, slug, f"20{file.stem[-4:-2]}-{file.stem[-2:]}", division)[0]
            for file in files
        ]
        yield pd.concat(tables).sort_values(["kick_off", "match_id"], ignore_index=True)


def cuts(league: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Matches among ten clubs that all seasons have, or most: the strongest and weakest alternate."""
    first = int(season_starts(league["season"]).min())
    for begin in range(first, int(season_starts(league["season"]).max()) - SEASONS + 2, 2):
        start = season_starts(league["season"])
        rows = league[(start >= begin) & (start < begin + SEASONS)]
        often = rows["home_team"].value_counts().index[: 2 * CLUBS]
        for chosen in (set(often[::2][:CLUBS]), set(often[1::2][:CLUBS])):
            yield rows[rows["home_team"].isin(chosen) & rows["away_team"].isin(chosen)].reset_index(drop=True)


def scores(cut: pd.DataFrame, priors: PriorHeads, general: np.ndarray) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield (number of earlier seasons, forecaster, RPS of each match)."""
    rated = compute_ratings(cut)
    x = model_input(rated.home, rated.away, cut["neutral"].to_numpy(bool))
    x, y = x[:, [FEATURES.index(name) for name in GOAL_FEATURES]], outcomes(cut)
    start, usable = season_starts(cut["season"]), after_burn_in(cut)
    for number, season in enumerate(sorted(set(start))):
        train, test = usable & (start < season), start == season
        base = base_rate(y[train]) if train.any() else general
        yield number, "base rate", rps(np.tile(base, (test.sum(), 1)), y[test])
        prior = priors.before(cut["kick_off"][test].min())
        assert prior is not None
        for pull in PULLS:
            head = outcome_model().fit_towards(prior.head, x[train], y[train], pull)
            yield number, f"{pull:g}", rps(head.predict_proba(x[test]), y[test])
        if train.any():
            yield number, "own", rps(outcome_model().fit(x[train], y[train]).predict_proba(x[test]), y[test])
        first_round = np.flatnonzero(test)[: CLUBS // 2]
        if number == 0:
            yield -1, "base rate", rps(np.tile(base, (len(first_round), 1)), y[first_round])
            yield -1, "0.01", rps(prior.head.predict_proba(x[first_round]), y[first_round])


def main(folder: Path) -> None:
    """Print the mean RPS by number of earlier seasons, and each forecaster's difference to the base rate."""
    league = bundled.load()
    priors = PriorHeads(league, outcome_model)
    general = base_rate(outcomes(league[league["season"] < "2017-18"]))
    collected: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    n_cuts = 0
    for table in leagues(folder):
        for cut in cuts(table):
            n_cuts += 1
            for number, name, values in scores(cut, priors, general):
                collected[number, name].append(values)
    sys.stdout.write(f"{n_cuts} cuts of {CLUBS} clubs; the head is shrunk below {FEW_MATCHES} training matches\n")
    for number in sorted({number for number, _ in collected}):
        base = np.concatenate(collected[number, "base rate"])
        title = "first round" if number < 0 else f"{number} earlier seasons"
        sys.stdout.write(f"\n{title}: {len(base)} matches, base rate {base.mean():.4f}\n")
        for name in (*map("{:g}".format, PULLS), "own"):
            if (number, name) in collected:
                difference = np.concatenate(collected[number, name]) - base
                error = difference.std(ddof=1) / np.sqrt(len(difference))
                sys.stdout.write(
                    f"  {name:>6} {base.mean() + difference.mean():.5f}  {difference.mean():+.5f} ± {error:.5f}\n"
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[3] / "shared/data/footballdata")
