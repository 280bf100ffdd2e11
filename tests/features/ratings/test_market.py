"""Market ratings follow the odds of matches that are over, age without them, and know nothing later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.matches import ODDS, Status
from features.matrix import COVERAGE_FEATURES, FEATURES, MARKET_FEATURES, model_input, swap_sides
from features.odds import CLOSING_ODDS, shin
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.ratings.market import log_odds
from features.ratings.params import MarketParams
from features.ratings.rating_state import COUNTED_MATCHES_WITH_SHOTS

MARKET = MarketParams()
COLUMNS = ("attack_market", "defence_market", "variance_market")


def random_odds(n: int, seed: int = 0) -> np.ndarray:
    """Decimal odds (n, 3) with a margin of six per cent."""
    return np.asarray(1 / (np.random.default_rng(seed).dirichlet([4.0, 3.0, 3.0], n) * 1.06))


@pytest.fixture(scope="module")
def priced(premier_league: pd.DataFrame) -> pd.DataFrame:
    """Three seasons, with closing odds of the last two and odds before the match of the last one."""
    table = premier_league[premier_league["season"] >= "2022-23"].reset_index(drop=True)
    table[list(CLOSING_ODDS)] = random_odds(len(table))
    table.loc[table["season"] == "2022-23", list(CLOSING_ODDS)] = np.nan
    table.loc[table["season"] == "2025-26", list(ODDS)] = random_odds(int((table["season"] == "2025-26").sum()), 1)
    return table


def features_of(matches: pd.DataFrame) -> np.ndarray:
    run = compute_ratings(matches)
    names = (*MARKET_FEATURES, *COVERAGE_FEATURES)
    x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))
    return x[:, [FEATURES.index(name) for name in names]]


def ratings_of(matches: pd.DataFrame) -> pd.DataFrame:
    return compute_ratings(matches).team_states.set_index("team")


def test_margins_are_removed_as_by_shin() -> None:
    """The compiled search finds the probabilities of the bisection, also for extreme books."""
    odds = np.vstack([random_odds(500), [[1.01, 15.0, 67.0], [3.0, 3.0, 3.0], [1.01, 1.01, 1.01]]])
    p = shin(odds)
    expected = np.log(p[:, [0, 2]] / p[:, [1]])
    np.testing.assert_allclose([log_odds(*row) for row in odds], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "odds", [(np.nan, 3.0, 3.0), (9.0, 9.0, 9.0), (0.0, 3.0, 3.0), (np.inf, 2.0, 2.0), (-2.0, 2, 2)]
)
def test_what_is_no_book_of_odds_has_no_log_odds(odds: tuple[float, float, float]) -> None:
    assert np.isnan(log_odds(*odds)).all()


def test_the_first_odds_move_the_ratings_as_computed_by_hand(premier_league: pd.DataFrame) -> None:
    match = premier_league.head(1).copy()
    match[list(CLOSING_ODDS)] = [[1.5, 4.2, 7.5]]
    home, away = log_odds(1.5, 4.2, 7.5)
    states = ratings_of(match)
    host, guest = (states.loc[match[side].iloc[0]] for side in ("home_team", "away_team"))
    gain = MARKET.start_variance / (2 * MARKET.start_variance + MARKET.noise)
    error_home, error_away = home - MARKET.level - MARKET.home, away - MARKET.level
    assert host["attack_market"] == pytest.approx(gain * error_home, abs=1e-12)
    assert host["defence_market"] == pytest.approx(-gain * error_away, abs=1e-12)
    assert guest["attack_market"] == pytest.approx(gain * error_away, abs=1e-12)
    assert guest["defence_market"] == pytest.approx(-gain * error_home, abs=1e-12)
    assert host["variance_market"] == pytest.approx(MARKET.start_variance * (1 - gain), abs=1e-12)
    rate = MARKET.division_learning_rate
    assert host["level_market"] == pytest.approx(MARKET.level + rate * (error_home + error_away) / 2, abs=1e-12)
    assert host["home_advantage_market"] == pytest.approx(MARKET.home + rate * (error_home - error_away) / 2, abs=1e-12)


def test_ratings_return_to_the_odds_of_every_match() -> None:
    """Odds that follow from fixed strengths are foretold after a season to a hundredth of their spread."""
    rng, clubs = np.random.default_rng(3), [f"Club {i:02}" for i in range(10)]
    strength = rng.normal(0, 0.5, (10, 2))
    pairs = [(h, a) for h in range(10) for a in range(10) if h != a]
    rng.shuffle(pairs)
    home, away = np.array(pairs).T
    z = np.column_stack([0.4 + strength[home, 0] - strength[away, 1], -0.1 + strength[away, 0] - strength[home, 1]])
    p = np.exp(np.insert(z, 1, 0.0, axis=1))
    table = pd.DataFrame({"home_team": np.array(clubs)[home], "away_team": np.array(clubs)[away]})
    table = table.assign(
        match_id=[f"eng-premier-league-2020-21-{i}" for i in range(len(pairs))],
        competition="eng-premier-league",
        season="2020-21",
        kick_off=pd.Timestamp("2020-08-01", tz="UTC") + pd.to_timedelta(np.arange(len(pairs)), unit="D"),
        neutral=False,
        status=Status.PLAYED.value,
        awarded=False,
        home_goals=1.0,
        away_goals=1.0,
        **dict.fromkeys(("home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target"), np.nan),
        **dict.fromkeys(ODDS, np.nan),
    )
    table[list(CLOSING_ODDS)] = p.sum(axis=1, keepdims=True) / p
    error = (features_of(table)[:, :2] - z)[-20:]
    assert np.sqrt((error**2).mean()) < 0.1 * z.std()


@pytest.mark.parametrize("cut", ["2024-03-09", "2025-09-13", "2026-01-17"])
def test_later_odds_change_no_earlier_feature(priced: pd.DataFrame, cut: str) -> None:
    """No rating up to and on a day moves if all odds from that day on are replaced by random ones."""
    day = priced["kick_off"].dt.floor("D")
    later = (day >= pd.Timestamp(cut, tz="UTC")).to_numpy()
    up_to = (day <= pd.Timestamp(cut, tz="UTC")).to_numpy()
    assert (later & up_to).any()
    changed = priced.copy()
    for seed, columns in enumerate((ODDS, CLOSING_ODDS)):
        changed.loc[later, list(columns)] = random_odds(int(later.sum()), 10 + seed)
    once, again = features_of(priced), features_of(changed)
    np.testing.assert_array_equal(once[up_to], again[up_to])
    assert (once[~up_to, :2] != again[~up_to, :2]).any(axis=1).mean() > 0.9


def test_fixtures_lend_no_odds_to_the_ratings(priced: pd.DataFrame) -> None:
    """The odds of a match count from its end."""
    ahead = priced.assign(status=np.where(priced["season"] == "2025-26", Status.SCHEDULED.value, priced["status"]))
    without = ahead.copy()
    without.loc[without["season"] == "2025-26", [*ODDS, *CLOSING_ODDS]] = np.nan
    np.testing.assert_array_equal(features_of(ahead), features_of(without))


def test_odds_before_the_match_stand_in_for_the_close(priced: pd.DataFrame) -> None:
    last = (priced["season"] == "2025-26").to_numpy()
    no_close, no_odds, as_close = priced.copy(), priced.copy(), priced.copy()
    no_close.loc[last, list(CLOSING_ODDS)] = np.nan
    no_odds.loc[last, [*ODDS, *CLOSING_ODDS]] = np.nan
    as_close.loc[last, list(CLOSING_ODDS)] = priced.loc[last, list(ODDS)].to_numpy()
    np.testing.assert_array_equal(features_of(no_close), features_of(as_close))
    assert (features_of(no_close)[last, 0] != features_of(no_odds)[last, 0]).mean() > 0.9


def test_a_rating_whose_odds_stop_ages(priced: pd.DataFrame) -> None:
    """Without odds, ratings stay and their variance grows by the day and each summer, up to its limit."""
    stops = pd.Timestamp("2025-01-01", tz="UTC")
    table = priced.copy()
    table.loc[table["kick_off"] >= stops, [*ODDS, *CLOSING_ODDS]] = np.nan
    before = ratings_of(table[table["kick_off"] < stops])
    season = ratings_of(table[table["season"] <= "2024-25"])
    later = ratings_of(table)
    club = "Arsenal"
    matches = table[(table["home_team"] == club) | (table["away_team"] == club)]
    played = matches.loc[matches["season"] <= "2024-25", "kick_off"].dt.floor("D").to_numpy("datetime64[D]")
    days = int((played.max() - played[played < np.datetime64("2025-01-01")].max()).astype(int))
    assert days > 100
    assert season.loc[club, "attack_market"] == before.loc[club, "attack_market"]
    growth = MARKET.daily_growth * days
    assert season.loc[club, "variance_market"] == pytest.approx(before.loc[club, "variance_market"] + growth, abs=1e-12)
    aged = later["variance_market"] - season["variance_market"]
    assert (aged.loc[[club]] > MARKET.summer_growth).all()
    assert later["variance_market"].max() <= MARKET.max_variance
    assert (later["variance_market"] > ratings_of(priced)["variance_market"] + 0.1).all()


def test_without_odds_no_newcomer_counts_as_known(premier_league: pd.DataFrame) -> None:
    """A newcomer is less certain than its division, and nobody is certain in a division without odds."""
    states = ratings_of(premier_league[premier_league["season"] >= "2022-23"].reset_index(drop=True))
    assert (states["variance_market"] >= MARKET.start_variance).all()


def test_going_on_from_a_checkpoint_gives_the_same_market_ratings(priced: pd.DataFrame) -> None:
    cut = int((priced["kick_off"] < pd.Timestamp("2025-12-20", tz="UTC")).sum())
    first = compute_ratings(priced.iloc[:cut])
    rest, whole = compute_ratings(priced.iloc[cut:], since=first.checkpoint), compute_ratings(priced)
    np.testing.assert_allclose(rest.home, whole.home[cut:], rtol=0, atol=1e-12)
    pd.testing.assert_frame_equal(rest.team_states, whole.team_states)


def test_the_order_of_matches_on_one_day_does_not_matter(priced: pd.DataFrame) -> None:
    """Even if a club has several matches on that day."""
    table = priced.tail(400).reset_index(drop=True)
    table["kick_off"] = table["kick_off"].dt.floor("30D")
    turned = table.iloc[::-1].reset_index(drop=True)
    once, again = (ratings_of(matches)[list(COLUMNS)] for matches in (table, turned))
    np.testing.assert_allclose(once, again, rtol=0, atol=1e-9)
    assert (once["variance_market"] > 0).all()


def test_coverage_is_the_same_for_both_sides(priced: pd.DataFrame) -> None:
    run = compute_ratings(priced)
    x, neutral = model_input(run.home, run.away, np.ones(len(priced), bool)), np.ones(len(priced), bool)
    np.testing.assert_allclose(model_input(run.away, run.home, neutral), swap_sides(x), rtol=0, atol=1e-12)
    columns = [FEATURES.index(name) for name in COVERAGE_FEATURES]
    np.testing.assert_array_equal(swap_sides(x)[:, columns], x[:, columns])


def test_matches_with_shots_are_counted_for_500_days(premier_league: pd.DataFrame) -> None:
    """The lower number of both clubs counts; a match without shots of one side is none."""
    table = premier_league[premier_league["season"] >= "2022-23"].reset_index(drop=True)
    shots = ["home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target"]
    with_shots = (table["kick_off"] < pd.Timestamp("2022-09-01", tz="UTC")).to_numpy()
    table[shots] = 5.0
    table.loc[~with_shots, shots[1:]] = np.nan
    club = "Arsenal"
    rows = np.flatnonzero((table["home_team"] == club) | (table["away_team"] == club))
    run, column = compute_ratings(table), STATE_COLUMNS.index("matches_with_shots")
    at_home = (table["home_team"] == club).to_numpy()
    count = np.where(at_home[rows], run.home[rows, column], run.away[rows, column])
    n = int(with_shots[rows].sum())
    assert n < COUNTED_MATCHES_WITH_SHOTS
    np.testing.assert_array_equal(count[: n + 10], [*range(n + 1), *[n] * 9])
    days = (table["kick_off"].iloc[rows].dt.floor("D") - table["kick_off"].iloc[rows[0]].floor("D")).dt.days.to_numpy()
    assert (count[1:][days[:-1] <= 500] > 0).all()
    assert (count[1:][days[:-1] > 530] == 0).all()
    both = np.minimum(run.home[:, column], run.away[:, column])
    np.testing.assert_array_equal(features_of(table)[:, 2], both)
