"""Each match is forecast from the ratings that rest on data: goals always, shots and past odds where they are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from features.blend import RatingBlend
from features.coverage_heads import (
    GOALS,
    KNOWN_VARIANCE,
    MARKET,
    MIN_MATCHES_OF_HEAD,
    MIN_RECENT_WITH_SHOTS,
    SHOTS,
    UNKNOWN_VARIANCE,
    CoverageHeads,
    market_weight,
)
from features.explanations import explain
from features.forecasts import forecast, predict, probabilities, states_of
from features.io.registry import LoadedModel, ModelVersion
from features.matches import ODDS, OUTCOMES, as_known_at, outcomes
from features.matrix import (
    FEATURE_GROUPS,
    FEATURES,
    GOAL_FEATURES,
    MARKET_FEATURES,
    SHOT_FEATURES,
    FeatureGroup,
    model_input,
)
from features.metrics import rps
from features.models import TRUSTED_TYPES, outcome_model
from features.odds import CLOSING_ODDS
from features.rating_history import STATE_COLUMNS, RatingHistory, compute_ratings

NAMES = FEATURE_GROUPS[FeatureGroup.MARKET]
OWN = [FEATURES.index(name) for name in NAMES]
SHOT_COLUMNS = ("home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target")
FRIDAY = datetime(2026, 3, 13, 20, tzinfo=UTC)
SHOTS_FROM, ODDS_FROM = "2018-19", "2020-21"


@parametrize_with_checks([CoverageHeads()])
def test_the_heads_keep_the_contract_of_scikit_learn(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    check(estimator)


def points_per_match(matches: pd.DataFrame) -> pd.Series:
    """Points of each club per match over a whole season, by club."""
    y = outcomes(matches)
    points = pd.concat(
        [
            pd.Series(np.array([3, 1, 0])[y], matches["home_team"].to_numpy()),
            pd.Series(np.array([0, 1, 3])[y], matches["away_team"].to_numpy()),
        ]
    )
    return points.groupby(level=0).mean()


@pytest.fixture(scope="module")
def covered(premier_league: pd.DataFrame) -> pd.DataFrame:
    """Real results; odds from 2020/21 on know the final table of the season, and shots are known from 2018/19 on."""
    table, rng = premier_league.copy(), np.random.default_rng(0)
    for _, season in table[table["season"] >= ODDS_FROM].groupby("season"):
        strength = points_per_match(season)
        gap = strength.loc[season["home_team"]].to_numpy() - strength.loc[season["away_team"]].to_numpy()
        z = np.column_stack([0.5 + 0.7 * gap, np.zeros(len(gap)), 0.1 - 0.7 * gap])
        p = np.exp(z + rng.normal(0, 0.05, z.shape))
        table.loc[season.index, list(CLOSING_ODDS)] = p.sum(axis=1, keepdims=True) / p / 1.04
    with_shots = (table["season"] >= SHOTS_FROM).to_numpy()
    for side in ("home", "away"):
        on_target = table[f"{side}_goals"] + rng.poisson(3, len(table))
        table[f"{side}_shots_on_target"] = on_target.where(with_shots)
        table[f"{side}_shots"] = (on_target + rng.poisson(7, len(table))).where(with_shots)
    return table


@pytest.fixture(scope="module")
def run(covered: pd.DataFrame) -> RatingHistory:
    return compute_ratings(covered)


def _input(matches: pd.DataFrame, run: RatingHistory) -> np.ndarray:
    return model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[:, OWN]


@pytest.fixture(scope="module")
def x(covered: pd.DataFrame, run: RatingHistory) -> np.ndarray:
    return _input(covered, run)


def _fitted(matches: pd.DataFrame, x: np.ndarray) -> CoverageHeads:
    model = outcome_model(features=NAMES).fit(x, outcomes(matches))
    assert isinstance(model, CoverageHeads)
    return model


@pytest.fixture(scope="module")
def model(covered: pd.DataFrame, x: np.ndarray) -> CoverageHeads:
    before = (covered["season"] < "2025-26").to_numpy()
    return _fitted(covered[before], x[before])


def _with(x: np.ndarray, name: str, value: float) -> np.ndarray:
    changed = x.copy()
    changed[:, NAMES.index(name)] = value
    return changed


def test_each_head_learns_from_the_matches_that_have_its_data(
    covered: pd.DataFrame, x: np.ndarray, model: CoverageHeads
) -> None:
    before, y = (covered["season"] < "2025-26").to_numpy(), outcomes(covered)
    shots = before & (x[:, NAMES.index("matches_with_shots")] >= MIN_RECENT_WITH_SHOTS)
    priced = before & (x[:, NAMES.index("variance_market")] <= KNOWN_VARIANCE)
    assert MIN_MATCHES_OF_HEAD < (shots & priced).sum() < shots.sum() < before.sum()
    for head, rows, names in (
        (GOALS, before, GOAL_FEATURES),
        (SHOTS, shots, (*GOAL_FEATURES, *SHOT_FEATURES)),
        (MARKET, priced, (*GOAL_FEATURES, *MARKET_FEATURES)),
        (SHOTS + MARKET, shots & priced, (*GOAL_FEATURES, *SHOT_FEATURES, *MARKET_FEATURES)),
    ):
        columns = [NAMES.index(name) for name in names]
        alone = RatingBlend(C=model.C).fit(x[rows][:, columns], y[rows])
        fitted = model.heads_[head]
        assert fitted is not None
        np.testing.assert_array_equal(
            fitted.predict_proba(x[-50:, columns]), alone.predict_proba(x[-50:, columns]), str(names)
        )


@pytest.mark.parametrize("without", ["shots", "past odds", "both"])
def test_ratings_without_data_have_no_part_in_the_forecast(x: np.ndarray, model: CoverageHeads, without: str) -> None:
    rows, names = x[-50:], list(GOAL_FEATURES)
    if without in ("shots", "both"):
        rows = _with(rows, "matches_with_shots", MIN_RECENT_WITH_SHOTS - 1)
    else:
        names += SHOT_FEATURES
    if without in ("past odds", "both"):
        rows = _with(rows, "variance_market", UNKNOWN_VARIANCE)
    else:
        names += MARKET_FEATURES
    p = model.predict_proba(rows)
    for name in {*SHOT_FEATURES, *MARKET_FEATURES} - set(names):
        np.testing.assert_array_equal(model.predict_proba(_with(rows, name, 9.0)), p, name)
    for system in (GOAL_FEATURES, SHOT_FEATURES, MARKET_FEATURES):  # single columns may have the coefficient 0
        moved = [(model.predict_proba(_with(rows, name, 9.0)) != p).any() for name in system]
        assert any(moved) == (system[0] in names), system


def test_the_older_the_odds_the_less_they_weigh_and_never_at_once(x: np.ndarray, model: CoverageHeads) -> None:
    variance = np.linspace(0, 0.3, 301)
    weight = market_weight(variance)
    assert weight[0] == 1.0
    assert weight[-1] == 0.0
    assert (np.diff(weight) <= 0).all()
    steps = np.array([model.predict_proba(_with(x[-50:], "variance_market", value)) for value in variance])
    fresh, unknown = steps[0], steps[-1]
    assert np.abs(fresh - unknown).max() > 0.02
    assert np.abs(np.diff(steps, axis=0)).max() < 0.05 * np.abs(fresh - unknown).max()
    half = model.head_weights(_with(x[-1:], "variance_market", (KNOWN_VARIANCE + UNKNOWN_VARIANCE) / 2))
    np.testing.assert_allclose(half, [[0, 0.5, 0, 0.5]], atol=1e-12)


def test_past_odds_that_know_more_make_better_forecasts(
    covered: pd.DataFrame, x: np.ndarray, model: CoverageHeads
) -> None:
    after = (covered["season"] == "2025-26").to_numpy()
    y = outcomes(covered[after])
    without = _with(x[after], "variance_market", UNKNOWN_VARIANCE)
    gain = rps(model.predict_proba(without), y) - rps(model.predict_proba(x[after]), y)
    assert gain.mean() > 0


def test_no_division_is_forecast_from_shots_that_it_does_not_have(covered: pd.DataFrame, run: RatingHistory) -> None:
    """The group `shots` forecasts matches without shots like the group `goals`, and learns from those with shots."""
    x = model_input(run.home, run.away, covered["neutral"].to_numpy(bool))
    goals, shots = (
        outcome_model(features=FEATURE_GROUPS[group])
        .fit(x[:, [FEATURES.index(name) for name in FEATURE_GROUPS[group]]], outcomes(covered))
        .predict_proba(x[:, [FEATURES.index(name) for name in FEATURE_GROUPS[group]]])
        for group in (FeatureGroup.GOALS, FeatureGroup.SHOTS)
    )
    without = (covered["season"] < SHOTS_FROM).to_numpy()
    np.testing.assert_allclose(shots[without], goals[without], rtol=0, atol=1e-12)
    with_shots = (x[:, FEATURES.index("matches_with_shots")] >= MIN_RECENT_WITH_SHOTS) & ~without
    assert with_shots.sum() > 2000
    assert (np.abs(shots - goals).max(axis=1)[with_shots] > 1e-6).all()


@pytest.mark.parametrize("kind", ["shots", "past odds"])
def test_a_head_of_too_few_matches_is_not_fitted(covered: pd.DataFrame, x: np.ndarray, kind: str) -> None:
    name, known, unknown = (
        ("matches_with_shots", MIN_RECENT_WITH_SHOTS, 0)
        if kind == "shots"
        else ("variance_market", 0.01, UNKNOWN_VARIANCE)
    )
    few = _with(x, name, unknown)
    few[: MIN_MATCHES_OF_HEAD - 1, NAMES.index(name)] = known
    fitted = _fitted(covered, few)
    assert fitted.heads_[SHOTS if kind == "shots" else MARKET] is None
    assert fitted.heads_[SHOTS + MARKET] is None
    once, again = (fitted.predict_proba(rows[:300]) for rows in (few, _with(few, name, unknown)))
    np.testing.assert_array_equal(once, again)


def test_better_ratings_speak_for_the_side_that_has_them(x: np.ndarray, model: CoverageHeads) -> None:
    rows = x[-300:]
    p = model.predict_proba(rows)
    for column, name in enumerate(NAMES):
        if name in ("matches_with_shots", "variance_market"):
            continue
        better = rows.copy()
        better[:, column] += 0.1
        change = model.predict_proba(better) - p
        gains, loses = (2, 0) if name.startswith("log_away") else (0, 2)
        assert (change[:, gains] >= -1e-12).all(), name
        assert (change[:, loses] <= 1e-12).all(), name


@pytest.mark.parametrize("blend", [False, True])
def test_each_forecast_is_explained_by_the_ratings_that_it_uses(
    covered: pd.DataFrame, x: np.ndarray, blend: bool
) -> None:
    fitted = outcome_model(features=NAMES, blend=blend).fit(x, outcomes(covered))
    rows = np.vstack(
        [
            x[-20:],
            _with(x[-20:], "variance_market", 0.1),
            _with(x[-20:], "variance_market", 2.0),
            _with(x[-20:], "matches_with_shots", 0),
        ]
    )
    goals, shots = ["elo", "pi", "goals"], ["shots on target", "shots"]
    expected = [[*goals, *shots, "market"]] * 40 + [[*goals, *shots]] * 20 + [[*goals, "market"]] * 20
    for explanation, p, systems in zip(explain(fitted, rows, NAMES), fitted.predict_proba(rows), expected, strict=True):
        assert explanation.log_odds == pytest.approx(np.log(p[0] / p[2]), abs=1e-9)
        moved = explanation.baseline_log_odds + sum(explanation.contributions.values())
        assert moved == pytest.approx(explanation.log_odds, abs=1e-9)
        assert list(explanation.contributions) == systems


def test_on_neutral_ground_it_makes_no_difference_who_is_named_first(model: CoverageHeads, run: RatingHistory) -> None:
    loaded, neutral = LoadedModel(ModelVersion(1, "run", FRIDAY), model, NAMES), np.ones(60, bool)
    direct = predict(loaded, model_input(run.home[-60:], run.away[-60:], neutral), neutral)
    mirrored = predict(loaded, model_input(run.away[-60:], run.home[-60:], neutral), neutral)
    np.testing.assert_allclose(direct, mirrored[:, ::-1], atol=1e-12)


@pytest.mark.parametrize("cut", ["2024-03-09", "2025-09-13"])
def test_later_odds_change_no_earlier_forecast(
    covered: pd.DataFrame, x: np.ndarray, model: CoverageHeads, cut: str
) -> None:
    """Through the heads too: odds from a day on change neither forecasts up to that day nor a model fitted on these."""
    day = covered["kick_off"].dt.floor("D")
    later = (day >= pd.Timestamp(cut, tz="UTC")).to_numpy()
    up_to = (day <= pd.Timestamp(cut, tz="UTC")).to_numpy()
    changed = covered.copy()
    rng = np.random.default_rng(1)
    for columns in (ODDS, CLOSING_ODDS):
        changed.loc[later, list(columns)] = 1 / (rng.dirichlet([4.0, 3.0, 3.0], int(later.sum())) * 1.06)
    again = _input(changed, compute_ratings(changed))
    np.testing.assert_array_equal(model.predict_proba(again[up_to]), model.predict_proba(x[up_to]))
    assert (model.predict_proba(again[~up_to]) != model.predict_proba(x[~up_to])).any(axis=1).mean() > 0.9
    once, refitted = (_fitted(covered[up_to], rows[up_to]) for rows in (x, again))
    np.testing.assert_array_equal(once.predict_proba(x[-50:]), refitted.predict_proba(x[-50:]))


def test_batch_and_online_forecasts_of_fixtures_without_odds_are_equal(
    covered: pd.DataFrame, model: CoverageHeads
) -> None:
    """Also if the ratings go on from a checkpoint."""
    table = as_known_at(covered, FRIDAY)
    ahead = table[table["kick_off"] > FRIDAY].reset_index(drop=True)
    assert ahead[[*ODDS, *CLOSING_ODDS]].isna().all(axis=None)
    version = ModelVersion(1, "run", FRIDAY, {"trained_through": "2025-05-25T15:00:00+00:00"})
    loaded = LoadedModel(version, model, NAMES)
    states = compute_ratings(table).team_states
    made = forecast(loaded, ahead, states, 1, version.trained_through, FRIDAY)
    cut = int((table["kick_off"] < pd.Timestamp("2026-01-05", tz="UTC")).sum())
    online_states = compute_ratings(table.iloc[cut:], since=compute_ratings(table.iloc[:cut]).checkpoint).team_states
    for _, match in ahead.iterrows():
        home, away = (
            states_of(online_states, pd.Series([match[side]]), pd.Series([match["competition"]]))[
                list(STATE_COLUMNS)
            ].to_numpy(float)
            for side in ("home_team", "away_team")
        )
        online = probabilities(loaded, home, away, np.zeros(1, bool))
        row = made.loc[made["match_id"] == match["match_id"], list(OUTCOMES)].to_numpy(float)
        np.testing.assert_allclose(online, row, rtol=0, atol=1e-9)
    assert all("market" in [share["rating"] for share in shares] for shares in made["shares"])


def test_a_logged_model_forecasts_as_before(x: np.ndarray, model: CoverageHeads) -> None:
    loaded = skops.io.loads(skops.io.dumps(model), trusted=list(TRUSTED_TYPES))
    np.testing.assert_array_equal(loaded.predict_proba(x[-50:]), model.predict_proba(x[-50:]))
