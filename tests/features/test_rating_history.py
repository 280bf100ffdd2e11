"""No rating uses later results, and fixtures get the current ratings of their clubs."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.errors import InvalidInputError, LeakageError, UnknownTeamError
from features.forecasts import forecast, probabilities, states_of
from features.io.registry import LoadedModel, ModelVersion
from features.matches import Status, as_known_at, outcomes
from features.matrix import GOAL_FEATURES, feature_frame, model_input, swap_sides
from features.models import outcome_model
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.ratings.params import MULTI_TIER

MOMENT = datetime(2026, 3, 9, tzinfo=UTC)


class _Model:
    """A fitted head with the columns of its signature, as the registry would load it."""

    features = GOAL_FEATURES

    def __init__(self, matches: pd.DataFrame) -> None:
        run = compute_ratings(matches)
        x = model_input(run.home, run.away, matches["neutral"].to_numpy(bool))[:, : len(GOAL_FEATURES)]
        self.head = outcome_model().fit(x, outcomes(matches))

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.head.predict_proba(x))


@pytest.fixture(scope="module")
def model(premier_league: pd.DataFrame) -> _Model:
    return _Model(premier_league[premier_league["season"] < "2025-26"])


def _features(matches: pd.DataFrame) -> np.ndarray:
    run = compute_ratings(matches)
    return model_input(run.home, run.away, matches["neutral"].to_numpy(bool))


def test_changing_every_later_result_changes_no_earlier_feature(premier_league: pd.DataFrame) -> None:
    cut = pd.Timestamp("2021-12-28", tz="UTC")
    later = (premier_league["kick_off"] >= cut).to_numpy()
    changed = premier_league.copy()
    changed.loc[later, "home_goals"] = 9.0
    same_day = (premier_league["kick_off"].dt.floor("D") == cut).to_numpy()
    assert same_day.any()
    np.testing.assert_array_equal(_features(changed)[~later | same_day], _features(premier_league)[~later | same_day])


def test_leaving_out_or_adding_later_matches_changes_no_earlier_feature(premier_league: pd.DataFrame) -> None:
    start = premier_league.iloc[:2000].reset_index(drop=True)
    np.testing.assert_array_equal(_features(start), _features(premier_league)[:2000])


def test_awarded_results_change_no_rating(premier_league: pd.DataFrame) -> None:
    """Ratings after an awarded match are those of a season without it, and its clubs have not played it."""
    season = premier_league[premier_league["season"] == "2015-16"].reset_index(drop=True)
    row = int(np.flatnonzero((season["home_team"] == "Chelsea").to_numpy())[3])
    forfeit = season.assign(awarded=season.index == row)
    forfeit.loc[row, ["home_goals", "away_goals"]] = [0.0, 3.0]
    postponed = season.copy()
    postponed.loc[row, "status"] = Status.POSTPONED
    postponed.loc[row, ["home_goals", "away_goals"]] = np.nan
    awarded, without, played = (
        compute_ratings(matches).team_states.set_index("team") for matches in (forfeit, postponed, season)
    )
    pd.testing.assert_frame_equal(awarded, without)
    assert awarded.loc["Chelsea", "elo"] != played.loc["Chelsea", "elo"]
    assert awarded.loc["Chelsea", "played"] == 37


def test_matches_of_one_day_do_not_see_each_others_results(premier_league: pd.DataFrame) -> None:
    day = premier_league["kick_off"].dt.floor("D")
    busy = day.value_counts().idxmax()
    rows = (day == busy).to_numpy()
    blind = premier_league.copy()
    blind.loc[rows, "status"] = Status.SCHEDULED.value
    np.testing.assert_array_equal(_features(blind)[rows], _features(premier_league)[rows])


def test_the_order_of_the_rows_does_not_matter(premier_league: pd.DataFrame) -> None:
    shuffled = premier_league.sample(frac=1, random_state=1)
    expected = _features(premier_league)[shuffled.index]
    np.testing.assert_allclose(_features(shuffled.reset_index(drop=True)), expected, rtol=0, atol=1e-12)


def test_fixtures_get_the_states_that_their_clubs_have(premier_league: pd.DataFrame) -> None:
    matches = as_known_at(premier_league, MOMENT)
    run = compute_ratings(matches)
    ahead = (matches["status"] == Status.SCHEDULED).to_numpy()
    home = states_of(run.team_states, matches.loc[ahead, "home_team"], matches.loc[ahead, "competition"])
    np.testing.assert_array_equal(home[list(STATE_COLUMNS)].to_numpy(float), run.home[ahead])


def test_online_and_batch_give_the_same_probabilities(premier_league: pd.DataFrame, model: _Model) -> None:
    matches = as_known_at(premier_league, MOMENT)
    run = compute_ratings(matches)
    fixtures = matches[matches["status"] == Status.SCHEDULED]
    batch = forecast(model, fixtures, run.team_states, 1, datetime(2025, 6, 1, tzinfo=UTC), MOMENT)
    trained_like = model.predict_proba(
        feature_frame(matches, run.home, run.away).loc[fixtures.index, list(GOAL_FEATURES)].to_numpy(float)
    )
    published = batch[["home", "draw", "away"]].to_numpy(float)
    for row, batched, expected in zip(batch.itertuples(), published, trained_like, strict=True):
        home, away = (
            run.team_states.loc[run.team_states["team"] == club, list(STATE_COLUMNS)].to_numpy(float)
            for club in (row.home_team, row.away_team)
        )
        online = probabilities(model, home, away, np.array([False]))[0]
        np.testing.assert_allclose(online, batched, atol=1e-9)
        np.testing.assert_allclose(online, expected, atol=1e-9)


def test_a_forecast_by_a_model_that_saw_the_match_is_refused(premier_league: pd.DataFrame, model: _Model) -> None:
    matches = as_known_at(premier_league, MOMENT)
    fixtures = matches[matches["status"] == Status.SCHEDULED]
    states = compute_ratings(matches).team_states
    with pytest.raises(LeakageError, match="such a forecast would be leakage"):
        forecast(model, fixtures, states, 1, datetime(2026, 5, 24, tzinfo=UTC), MOMENT)
    with pytest.raises(LeakageError, match="such a forecast would be leakage"):
        forecast(
            model, fixtures, compute_ratings(premier_league).team_states, 1, datetime(2025, 6, 1, tzinfo=UTC), MOMENT
        )


def test_a_club_without_a_state_is_named_with_its_relatives(premier_league: pd.DataFrame, model: _Model) -> None:
    fixtures = as_known_at(premier_league, MOMENT).tail(1).assign(home_team="Arsenall")
    with pytest.raises(UnknownTeamError, match="Arsenal"):
        forecast(model, fixtures, compute_ratings(premier_league).team_states, 1, MOMENT, MOMENT)


def test_no_fixtures_give_an_empty_forecast(premier_league: pd.DataFrame, model: _Model) -> None:
    states = compute_ratings(premier_league).team_states
    assert forecast(model, premier_league.head(0), states, 1, MOMENT, MOMENT).empty


def test_the_league_has_twenty_states_and_elo_points_stay_in_it(premier_league: pd.DataFrame) -> None:
    states = compute_ratings(premier_league).team_states
    assert len(states) == 20
    assert np.isfinite(states[list(STATE_COLUMNS)].to_numpy(float)).all()
    assert states["elo"].between(1200, 1900).all()


def test_on_neutral_ground_it_does_not_matter_who_is_named_first(premier_league: pd.DataFrame, model: _Model) -> None:
    run = compute_ratings(premier_league)
    home, away, neutral = run.home[-380:], run.away[-380:], np.ones(380, bool)
    np.testing.assert_allclose(
        model_input(away, home, neutral), swap_sides(model_input(home, away, neutral)), rtol=0, atol=1e-12
    )
    there, back = probabilities(model, home, away, neutral), probabilities(model, away, home, neutral)
    np.testing.assert_allclose(there, back[:, ::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(there.sum(axis=1), 1, rtol=0, atol=1e-12)
    at_home = probabilities(model, home, away, ~neutral)
    assert (there[:, 0] < at_home[:, 0]).all()
    assert (there[:, 2] > at_home[:, 2]).all()
    mixed = np.arange(380) % 2 == 0
    np.testing.assert_allclose(
        probabilities(model, home, away, mixed), np.where(mixed[:, None], there, at_home), rtol=0, atol=1e-12
    )


def test_a_match_on_neutral_ground_moves_the_ratings_alike_in_either_order(premier_league: pd.DataFrame) -> None:
    early = premier_league.head(400).reset_index(drop=True)
    early.loc[380:, "neutral"] = True
    other = early.copy()
    for count in ("team", "goals", "shots", "shots_on_target"):
        sides = [f"home_{count}", f"away_{count}"]
        other.loc[380:, sides] = early.loc[380:, sides[::-1]].to_numpy()
    once, again = compute_ratings(early).team_states, compute_ratings(other).team_states
    at_home = compute_ratings(early.assign(neutral=False)).team_states
    np.testing.assert_allclose(
        once[list(STATE_COLUMNS)].to_numpy(float), again[list(STATE_COLUMNS)].to_numpy(float), rtol=0, atol=1e-9
    )
    assert not np.allclose(once["pi_home"], at_home["pi_home"], atol=1e-3)


def test_a_forecast_on_neutral_ground_is_explained_and_has_scores_that_agree(premier_league: pd.DataFrame) -> None:
    matches = as_known_at(premier_league, MOMENT)
    states = compute_ratings(matches).team_states
    there = matches[matches["status"] == Status.SCHEDULED].assign(neutral=True)
    back = there.rename(columns={"home_team": "away_team", "away_team": "home_team"})
    fitted = _Model(premier_league[premier_league["season"] < "2025-26"])
    named = LoadedModel(ModelVersion(1, "run", datetime(2025, 6, 1, tzinfo=UTC), {}), fitted.head, GOAL_FEATURES)
    rows, turned = (
        forecast(named, fixtures, states, 1, datetime(2025, 6, 1, tzinfo=UTC), MOMENT).to_dict("records")
        for fixtures in (there, back)
    )
    for row, other in zip(rows, turned, strict=True):
        shares = {entry["rating"]: entry["share"] for entry in row["shares"]}
        assert row["usual_log_odds"] == pytest.approx(0, abs=1e-12), "two average clubs are equal there"
        assert sum(shares.values()) == pytest.approx(np.log(row["home"] / row["away"]), abs=1e-9)
        assert shares == pytest.approx({entry["rating"]: -entry["share"] for entry in other["shares"]}, abs=1e-12)
        assert row["expected_home_goals"] == pytest.approx(other["expected_away_goals"], abs=1e-12)


def test_going_on_from_a_checkpoint_gives_the_same_as_one_pass(premier_league: pd.DataFrame) -> None:
    cut = int((premier_league["kick_off"] < pd.Timestamp("2025-12-20", tz="UTC")).sum())
    first = compute_ratings(premier_league.iloc[:cut])
    rest = compute_ratings(premier_league.iloc[cut:], since=first.checkpoint)
    whole = compute_ratings(premier_league)
    np.testing.assert_allclose(rest.home, whole.home[cut:], rtol=0, atol=1e-12)
    pd.testing.assert_frame_equal(rest.team_states, whole.team_states)


def test_a_checkpoint_is_not_moved_by_what_goes_on_from_it(premier_league: pd.DataFrame) -> None:
    first = compute_ratings(premier_league.iloc[:4000])
    later = premier_league.iloc[4010:]
    once, again = (compute_ratings(later, since=first.checkpoint) for _ in range(2))
    np.testing.assert_array_equal(once.home, again.home)


def test_a_match_before_the_checkpoint_is_refused(premier_league: pd.DataFrame) -> None:
    end = compute_ratings(premier_league).checkpoint
    with pytest.raises(InvalidInputError, match="recompute all ratings"):
        compute_ratings(premier_league.tail(1), since=end)


def _two_tiers(premier_league: pd.DataFrame, below_in: str) -> tuple[pd.DataFrame, set[str]]:
    """Seasons of one league, with every second club moved to the tier below in season `below_in`; and those clubs."""
    clubs = sorted(set(premier_league["home_team"]))
    below = set(clubs[::2])
    same = premier_league["home_team"].isin(below) == premier_league["away_team"].isin(below)
    table = premier_league[same & (premier_league["season"] < "2016")].reset_index(drop=True)
    lower = table["home_team"].isin(below) & (table["season"] == below_in)
    return table.assign(competition=np.where(lower, "eng-championship", "eng-premier-league")), below


def _arrivals(table: pd.DataFrame, states: np.ndarray, clubs: set[str]) -> dict[str, np.ndarray]:
    """The states with which clubs entered the second season."""
    later = table[(table["season"] == "2015-16") & table["home_team"].isin(clubs)].drop_duplicates("home_team")
    first_match = table[table["season"] == "2015-16"].melt("kick_off", ["home_team", "away_team"], value_name="club")
    begins = first_match.groupby("club")["kick_off"].min()
    at_home = later[later["kick_off"] == later["home_team"].map(begins)]
    return dict(zip(at_home["home_team"], states[at_home.index.to_numpy(int)], strict=True))


def test_a_promoted_club_keeps_the_rating_it_earned_below(premier_league: pd.DataFrame) -> None:
    table, below = _two_tiers(premier_league, "2014-15")
    states = compute_ratings(table[table["season"] == "2014-15"], MULTI_TIER).team_states.set_index("team")
    upper = states[states["competition"] == "eng-premier-league"]
    alone = table[table["competition"] == "eng-premier-league"].reset_index(drop=True)
    unknown = _arrivals(alone, compute_ratings(alone, MULTI_TIER).home, below)
    arrived = _arrivals(table, compute_ratings(table, MULTI_TIER).home, below & set(states.index))
    assert len(arrived) >= 3
    for club, state in arrived.items():
        for column, pull in (
            ("elo", MULTI_TIER.elo.mean_reversion),
            ("attack", MULTI_TIER.poisson.mean_reversion),
            ("pi_home", 0.0),
        ):
            earned = states.loc[club, column]
            expected = earned + pull * (upper[column].mean() - earned)
            assert state[STATE_COLUMNS.index(column)] == pytest.approx(expected, abs=1e-9), column
        newcomer = upper["elo"].mean() + MULTI_TIER.elo.promoted_offset
        assert unknown[club][0] == pytest.approx(newcomer, abs=1e-9), (
            "without the lower tier it starts like any newcomer"
        )
    assert np.std([state[0] for state in arrived.values()]) > 1


def test_a_relegated_club_takes_its_rating_down(premier_league: pd.DataFrame) -> None:
    table, below = _two_tiers(premier_league, "2015-16")
    run = compute_ratings(table, MULTI_TIER)
    states = compute_ratings(table[table["season"] == "2014-15"], MULTI_TIER).team_states.set_index("team")
    arrived = _arrivals(table, run.home, below & set(states.index))
    assert len(arrived) >= 3
    for club, state in arrived.items():
        assert state[0] == pytest.approx(states.loc[club, "elo"], abs=1e-9), "the tier below has no mean yet"
    down = run.team_states[run.team_states["competition"] == "eng-championship"].set_index("team")
    clubs = sorted(set(down.index) & set(states.index))
    assert np.corrcoef(down.loc[clubs, "elo"], states.loc[clubs, "elo"])[0, 1] > 0.5
    fresh = table[table["competition"] == "eng-championship"].reset_index(drop=True)
    unknown = compute_ratings(fresh, MULTI_TIER).team_states["elo"]
    assert down["elo"].mean() > unknown.mean() + 50, "without history it would start at the level of the lower tier"


def test_clubs_of_one_name_in_two_countries_are_two_clubs(premier_league: pd.DataFrame) -> None:
    abroad = premier_league.assign(competition="chi-primera", home_goals=0.0, away_goals=3.0)
    both = pd.concat([premier_league, abroad], ignore_index=True)
    together, alone = compute_ratings(both), compute_ratings(premier_league)
    np.testing.assert_array_equal(together.home[: len(premier_league)], alone.home)
