"""One training: repeatable, judged on the same matches as its references, explained."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from features.boosting import OrdinalBoosting
from features.errors import InvalidInputError
from features.forecasts import forecast, probabilities, states_of
from features.io.registry import LoadedModel, ModelVersion, TrainingRun
from features.io.sources import bundled
from features.io.sources.football_data import parse
from features.matches import OUTCOMES, Status, as_known_at, outcomes
from features.matrix import (
    FEATURE_GROUPS,
    GOAL_FEATURES,
    MARKET_FEATURES,
    ODDS_FEATURES,
    SHOT_FEATURES,
    FeatureGroup,
    feature_frame,
)
from features.metrics import base_rate, rps
from features.odds import bookmaker_log_odds
from features.rating_history import STATE_COLUMNS, compute_ratings
from features.recipes import BUILT_IN
from features.splits import trainable
from orchestration.steps import training as training_module
from orchestration.steps.training import TrainingOptions, code_revision, first_version_verdict, train

pytestmark = pytest.mark.medium

AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
SHOTS = FEATURE_GROUPS[FeatureGroup.SHOTS]
RECIPE = TrainingOptions(seed=7, evaluate_from=2018)


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    return as_known_at(bundled.load(), AS_OF)


@pytest.fixture(scope="module")
def features(matches: pd.DataFrame) -> pd.DataFrame:
    states = compute_ratings(matches)
    return feature_frame(matches, states.home, states.away)


@pytest.fixture(scope="module")
def trained(matches: pd.DataFrame, features: pd.DataFrame) -> TrainingRun:
    return train(matches, features, RECIPE, AS_OF, "lake")


def test_a_run_is_named_by_its_recipe_and_week(trained: TrainingRun) -> None:
    assert trained.summary == "goals, regularisation 0.01, week 2026-03-09"
    other = replace(RECIPE, features=SHOTS, blend=True, include_running_season=True)
    assert str(other) == "shots, blend, regularisation 0.01, with the running season"


def test_same_data_and_seed_give_the_same_bytes(
    matches: pd.DataFrame, features: pd.DataFrame, trained: TrainingRun
) -> None:
    shuffled = features.sample(frac=1, random_state=1)  # the order in which tables are read must not matter
    again = train(matches, shuffled, RECIPE, AS_OF, "lake")
    x = trained.input_example.to_numpy(float)
    np.testing.assert_array_equal(trained.estimator.predict_proba(x), again.estimator.predict_proba(x))
    assert pickle.dumps(again.estimator) == pickle.dumps(trained.estimator)
    assert again.tags["data_digest"] == trained.tags["data_digest"]
    assert again.metrics == trained.metrics


def from_records(tags: Mapping[str, str]) -> TrainingRun:
    """Repeat the training that a version's tags describe."""
    as_of = datetime.fromisoformat(tags["trained_as_of"])
    matches = as_known_at(bundled.load(), as_of)
    states = compute_ratings(matches)
    recipe = TrainingOptions(**json.loads(tags["recipe"]))
    return train(matches, feature_frame(matches, states.home, states.away), recipe, as_of, "lake")


def test_retrainings_can_be_reproduced_from_their_tags() -> None:
    """The result is identical bit for bit."""
    recipe = asdict(replace(RECIPE, include_running_season=True))
    weeks = [
        from_records({"trained_as_of": trained_as_of.isoformat(), "recipe": json.dumps(recipe)})
        for trained_as_of in (AS_OF, AS_OF + timedelta(weeks=1))
    ]
    assert weeks[0].tags["data_digest"] != weeks[1].tags["data_digest"], "a week of results came in between"
    again = from_records(weeks[1].tags)
    assert pickle.dumps(again.estimator) == pickle.dumps(weeks[1].estimator) != pickle.dumps(weeks[0].estimator)
    assert again.tags == weeks[1].tags
    assert again.documents == weeks[1].documents


def test_a_blend_is_trained_judged_and_recorded_as_one(
    matches: pd.DataFrame, features: pd.DataFrame, trained: TrainingRun
) -> None:
    blended = train(matches, features, replace(RECIPE, blend=True), AS_OF, "lake")
    assert len(blended.estimator.members_) == 3 > len(trained.estimator.members_)
    assert blended.metrics["rps"] != trained.metrics["rps"]
    assert json.loads(blended.tags["recipe"])["blend"]
    again = from_records(blended.tags)
    assert pickle.dumps(again.estimator) == pickle.dumps(blended.estimator)


def test_recipe_is_trained_and_evaluated_on_the_same_matches(
    matches: pd.DataFrame, features: pd.DataFrame, trained: TrainingRun
) -> None:
    recipe = BUILT_IN["multinomial_logit"]
    options = RECIPE.with_recipe("multinomial_logit", recipe)
    by_recipe = train(matches, features, options, AS_OF, "lake", recipe=recipe)
    assert isinstance(by_recipe.estimator, Pipeline)
    assert by_recipe.tags["model_recipe"] == "multinomial_logit"
    assert "model_recipe" not in trained.tags
    assert json.loads(by_recipe.tags["recipe"])["model_recipe_revision"] == recipe.revision()
    assert by_recipe.metrics["n"] == trained.metrics["n"]
    assert by_recipe.metrics["elo_rps"] == trained.metrics["elo_rps"]
    assert trained.metrics["rps"] < by_recipe.metrics["rps"] < trained.metrics["base_rps"]


def test_recipe_of_few_matches_is_not_shrunk(matches: pd.DataFrame) -> None:
    """The bundled head is one of our model; its own model is trained, or refused."""
    recipe = BUILT_IN["multinomial_logit"]
    options = RECIPE.with_recipe("multinomial_logit", recipe)
    few, features = renamed(matches, {"2022-23", "2023-24", "2024-25"})
    assert train(few, features, options, AS_OF, "lake", recipe=recipe).tags["shrunk_towards"] == "none"
    few, features = renamed(matches, {"2025-26"})
    with pytest.raises(InvalidInputError, match="not enough to train on"):
        train(few, features, options, AS_OF, "lake", recipe=recipe)


def test_recipe_whose_types_no_worker_would_load_is_refused(matches: pd.DataFrame, features: pd.DataFrame) -> None:
    recipe = replace(BUILT_IN["gradient_boosting"], build=lambda: OrdinalBoosting(max_iter=2), trusted_types=())
    with pytest.raises(InvalidInputError, match=r"contains .*TreePredictor; .* trusted_types"):
        train(matches, features, RECIPE.with_recipe("boosting", recipe), AS_OF, "lake", recipe=recipe)


def test_changed_data_changes_the_digest(matches: pd.DataFrame, features: pd.DataFrame, trained: TrainingRun) -> None:
    changed = features.copy()
    changed.loc[changed.index[2000], "elo"] += 0.1
    assert train(matches, changed, RECIPE, AS_OF, "lake").tags["data_digest"] != trained.tags["data_digest"]


def test_it_learns_from_seasons_that_are_over(matches: pd.DataFrame, trained: TrainingRun) -> None:
    assert trained.tags["trained_through"] == "2025-05-25T15:00:00+00:00"
    assert trained.tags["seasons"] == "2015-16 to 2024-25"
    assert set(matches.loc[trainable(matches), "season"]) == set(matches["season"]) - {"2025-26"}


def test_it_may_learn_from_the_running_season_when_asked(matches: pd.DataFrame) -> None:
    rows = matches[trainable(matches, include_running_season=True)]
    assert rows["season"].max() == "2025-26"
    assert (rows["status"] == Status.PLAYED).all()
    assert rows["kick_off"].max() < AS_OF


def test_unplayed_match_does_not_keep_a_season_open(matches: pd.DataFrame) -> None:
    """A season is complete once the next one has begun."""
    never = matches.copy()
    never.loc[never.index[3000], "status"] = Status.POSTPONED.value
    rows = never[trainable(never)]
    assert len(rows) == 11 * 380 - 1


def test_model_and_references_are_judged_on_the_same_matches(trained: TrainingRun) -> None:
    scores = json.loads(trained.documents["evaluation.json"])
    assert {scores_of_forecaster["n"] for scores_of_forecaster in scores["scores"].values()} == {scores["matches"]}
    assert scores["matches"] == 7 * 380
    verdict = first_version_verdict(scores)
    assert (verdict.rejection, verdict.provisional) == (None, None)
    assert scores["difference_to"]["base"]["high"] < 0
    assert trained.metrics["rps"] < trained.metrics["elo_rps"] < trained.metrics["base_rps"]
    assert 0.12 < trained.metrics["skill"] < 0.166, (
        "a higher skill is better than closing odds ever are, so it means a leak"
    )


def renamed(matches: pd.DataFrame, seasons: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Some seasons as those of a league that the bundled data does not know, with their features."""
    few = matches[matches["season"].isin(seasons)].assign(competition="atl-premier").reset_index(drop=True)
    states = compute_ratings(few)
    return few, feature_frame(few, states.home, states.away)


def test_a_league_of_one_season_is_forecast_by_the_bundled_head(matches: pd.DataFrame) -> None:
    """It has nothing to be judged by, so it is provisional, and it knows no match from after the season's start."""
    few, features = renamed(matches, {"2025-26"})
    trained = train(few, features, RECIPE, AS_OF, "lake")
    assert trained.tags["training_matches"] == "0"
    assert trained.tags["shrunk_towards"] == "eng-premier-league 2015-16 to 2024-25"
    assert datetime.fromisoformat(trained.tags["trained_through"]) < few["kick_off"].min()
    verdict = first_version_verdict(json.loads(trained.documents["evaluation.json"]))
    assert verdict.rejection is None
    assert verdict.provisional is not None
    assert verdict.provisional.missing == 100
    played = few["status"] == Status.PLAYED
    p = trained.estimator.predict_proba(features.loc[played, list(GOAL_FEATURES)].to_numpy(float))
    y = outcomes(few[played])
    difference = rps(p, y) - rps(np.tile(base_rate(y), (len(y), 1)), y)
    assert difference.mean() < difference.std() / np.sqrt(len(y)), "not worse than the base rate by a standard error"


def test_few_matches_are_shrunk_and_many_are_not(matches: pd.DataFrame, trained: TrainingRun) -> None:
    few, features = renamed(matches, {"2022-23", "2023-24", "2024-25"})
    shrunk = train(few, features, RECIPE, AS_OF, "lake")
    assert shrunk.tags["shrunk_towards"] == "eng-premier-league 2015-16 to 2023-24"
    assert shrunk.tags["trained_through"] == "2025-05-25T15:00:00+00:00"
    assert json.loads(shrunk.documents["evaluation.json"])["matches"] == 380
    assert trained.tags["shrunk_towards"] == "none"


def test_one_season_before_all_that_is_bundled_is_not_enough(matches: pd.DataFrame, features: pd.DataFrame) -> None:
    few = matches[matches["season"] <= "2015-16"]
    with pytest.raises(InvalidInputError):
        train(few[few["season"] == "2014-15"], features, RECIPE, AS_OF, "lake")


def test_model_of_shots_needs_shots(matches: pd.DataFrame, features: pd.DataFrame) -> None:
    """The message says what to do."""
    with pytest.raises(InvalidInputError, match=r"after others with shots.*only 0.*TOUCHLINE_FEATURES=goals"):
        train(matches, features, replace(RECIPE, features=SHOTS), AS_OF, "lake")
    everywhere = replace(RECIPE, features=(*GOAL_FEATURES, *SHOT_FEATURES))  # without the number of matches with shots
    with pytest.raises(InvalidInputError, match=r"0% of the matches of eng-premier-league.*TOUCHLINE_FEATURES=goals"):
        train(matches, features, everywhere, AS_OF, "lake")


def test_without_odds_a_model_of_odds_is_refused_with_what_to_do(matches: pd.DataFrame, features: pd.DataFrame) -> None:
    recipe = replace(RECIPE, features=FEATURE_GROUPS[FeatureGroup.GOALS_AND_ODDS])
    with pytest.raises(
        InvalidInputError,
        match=r"needs odds for 380 matches of complete seasons, but only 0 have them.*TOUCHLINE_FEATURES=goals",
    ):
        train(matches, features, recipe, AS_OF, "lake")


def test_without_past_odds_a_model_of_them_is_refused_with_what_to_do(
    matches: pd.DataFrame, features: pd.DataFrame
) -> None:
    recipe = replace(RECIPE, features=FEATURE_GROUPS[FeatureGroup.MARKET])
    with pytest.raises(
        InvalidInputError,
        match=r"needs 380 matches of complete seasons after others with odds.*only 0.*TOUCHLINE_FEATURES=goals",
    ):
        train(matches, features, recipe, AS_OF, "lake")


@pytest.mark.shared
@pytest.mark.parametrize(
    "group",
    [FeatureGroup.SHOTS, FeatureGroup.SHOTS_AND_ODDS, FeatureGroup.MARKET, FeatureGroup.MARKET_AND_ODDS],
)
def test_model_of_shots_and_odds_works_in_batch_and_online(shared_data: Path, group: FeatureGroup) -> None:
    names, with_odds = FEATURE_GROUPS[group], not set(ODDS_FEATURES).isdisjoint(FEATURE_GROUPS[group])
    table = pd.concat(
        parse(path.read_bytes(), path.name, "eng-premier-league", f"20{path.stem[3:5]}-{path.stem[5:]}", "E0")[0]
        for path in sorted((shared_data / "footballdata").glob("E0_1[5-9]*.csv"))
    ).sort_values(["kick_off", "match_id"], ignore_index=True)
    as_of = pd.Timestamp("2020-07-03T18:00", tz="UTC").to_pydatetime()  # a Friday evening: odds up to Monday are known
    table = as_known_at(table, as_of)
    states = compute_ratings(table)
    trained = train(
        table, feature_frame(table, states.home, states.away), replace(RECIPE, features=names, evaluate_from=2017),
        as_of, "lake",
    )  # fmt: skip
    assert list(trained.input_example.columns) == list(names)
    version = ModelVersion(1, "run", as_of, trained.tags)
    model = LoadedModel(version, trained.estimator, names)
    ahead = table[table["status"] == Status.SCHEDULED]
    batch = forecast(model, ahead, states.team_states, 1, version.trained_through, as_of)
    home, away = (
        states_of(states.team_states, ahead[club], ahead["competition"])[list(STATE_COLUMNS)].to_numpy(float)
        for club in ("home_team", "away_team")
    )
    online = probabilities(model, home, away, np.zeros(len(ahead), bool), bookmaker_log_odds(ahead, as_of))
    np.testing.assert_allclose(online, batch[list(OUTCOMES)], rtol=0, atol=1e-9)
    past_odds = not set(MARKET_FEATURES).isdisjoint(names)
    systems = ["elo", "pi", "goals", "shots on target", "shots", *["market"] * past_odds]
    for _, row in batch.iloc[[0, -1]].iterrows():
        priced = with_odds and row["kick_off"] < pd.Timestamp("2020-07-07", tz="UTC")
        assert [share["rating"] for share in row["shares"]] == [*systems, *(["odds"] if priced else [])]
        assert pd.notna(row["odds_home"]) == priced
        moved = row["usual_log_odds"] + sum(share["share"] for share in row["shares"])
        assert moved == pytest.approx(np.log(row["home"] / row["away"]), abs=1e-9)


def test_the_recorded_revision_tells_what_was_not_committed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        names = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        command = ["git", "-C", str(tmp_path), *names, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    source = tmp_path / "features" / "ratings.py"
    source.parent.mkdir()
    source.write_text("K = 20\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "notes.txt").write_text("decides nothing")
    assert code_revision(tmp_path) == commit
    source.write_text("K = 25\n")
    changed = code_revision(tmp_path)
    assert changed.startswith(f"{commit}-dirty.")
    source.write_text("K = 30\n")
    assert code_revision(tmp_path) not in (commit, changed), "a different change gives a different revision"
    source.write_text("K = 20\n")
    (tmp_path / "features" / "new.py").write_text("K = 25\n")
    added = code_revision(tmp_path)
    assert added.startswith(f"{commit}-dirty."), "a module that git does not track yet counts"
    (tmp_path / "features" / "aliases.csv").write_text("Spurs,Tottenham\n")
    with_data = code_revision(tmp_path)
    assert with_data.startswith(f"{commit}-dirty.")
    (tmp_path / "features" / "aliases.csv").write_text("Spurs,Tottenham Hotspur\n")
    assert len({added, with_data, code_revision(tmp_path)}) == 3, "data files in the package count too"


def test_revision_says_when_git_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "ratings.py").write_text("K = 20\n")
    monkeypatch.setattr(training_module, "_git", lambda _, command, *__: "4f2a91c" if command == "rev-parse" else None)
    assert code_revision(tmp_path).startswith("4f2a91c-unknown.")


def test_without_a_checkout_the_installed_version_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This is the case in an image, whose build writes version and revision beside the code."""
    metadata = tmp_path / "touchline-0.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: touchline\nVersion: 0.1.0+4f2a91c\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert code_revision(tmp_path) == "0.1.0+4f2a91c"
