"""Leagues of ten clubs, cut out of real ones, and how well each of their seasons is forecast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from features.io.sources.football_data import parse
from features.matches import outcomes
from features.matrix import FEATURES, GOAL_FEATURES, model_input
from features.metrics import base_rate, rps
from features.models import outcome_model
from features.prior_head import PriorHeads
from features.rating_history import compute_ratings
from features.splits import after_burn_in, season_starts

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


def scores(
    cut: pd.DataFrame, priors: PriorHeads, general: np.ndarray, pulls: Sequence[float]
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield (number of earlier seasons, -1 for the first round of all; forecaster; RPS of each match)."""
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
        for pull in pulls:
            head = outcome_model().fit_towards(prior.head, x[train], y[train], pull)
            yield number, f"{pull:g}", rps(head.predict_proba(x[test]), y[test])
        if train.any():
            yield number, "own", rps(outcome_model().fit(x[train], y[train]).predict_proba(x[test]), y[test])
        first_round = np.flatnonzero(test)[: CLUBS // 2]
        if number == 0:
            yield -1, "base rate", rps(np.tile(base, (len(first_round), 1)), y[first_round])
            yield -1, "0.01", rps(prior.head.predict_proba(x[first_round]), y[first_round])
