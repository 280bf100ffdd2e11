"""Trains a model from published tables, and collects everything that the registry stores about it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.blend import RatingBlend
from features.coverage_heads import MIN_MATCHES_OF_HEAD, MIN_RECENT_WITH_SHOTS, CoverageHeads, market_weight
from features.errors import InvalidInputError, ModelUnavailableError
from features.io.model_artefact import RECIPE_TAG, SUBMITTED_TAG, untrusted_types
from features.io.registry import TrainingRun
from features.io.sources import bundled
from features.io.store import week_of
from features.matches import OUTCOMES, outcomes
from features.matrix import (
    COVERAGE_FEATURES,
    FEATURE_GROUPS,
    GOAL_FEATURES,
    MARKET_FEATURES,
    ODDS_FEATURES,
    REFERENCE_FEATURE,
    SHOT_FEATURES,
)
from features.metrics import rps, summary
from features.models import REGULARISATION, fit_model, outcome_model, walk_forward_forecasts
from features.pool import MIN_MATCHES_WITH_ODDS, OddsPool
from features.prior_head import FEW_MATCHES, Prior, PriorHeads
from features.recipes import Recipe, SubmittedRecipe
from features.splits import after_burn_in, trainable
from monitoring.calibration import reliability_curve
from monitoring.differences import Difference, paired_difference
from monitoring.first_version import FirstVersionVerdict, judge

ROOT = Path(__file__).resolve().parents[2]

CODE_PATHS = ("features", "monitoring", "orchestration", "requirements.lock")
"""The code that determines the model, together with data and recipe."""

IDENTITY = ("data_digest", "recipe", "code_revision")
"""Tags that together determine a model bit for bit."""

BOUNDS = ("mean", "low", "high")

FORECASTERS = ("model", "elo", "base")
"""The model and its baselines, plain Elo and the base rate, all evaluated on the same matches."""


@dataclass(frozen=True)
class TrainingOptions:
    """Settings that, together with the data, determine a model bit for bit."""

    seed: int
    evaluate_from: int
    regularisation: float = REGULARISATION
    include_running_season: bool = False
    features: tuple[str, ...] = GOAL_FEATURES
    blend: bool = False
    model_recipe: str | None = None
    model_recipe_revision: str | None = None

    def __str__(self) -> str:
        """What differs between recipes that are in use, for the name of a run."""
        if self.model_recipe is not None:
            return ", ".join([self.model_recipe, *["with the running season"] * self.include_running_season])
        group = next((name for name, columns in FEATURE_GROUPS.items() if columns == self.features), "own features")
        parts = [str(group), *["blend"] * self.blend, f"regularisation {self.regularisation:g}"]
        return ", ".join([*parts, *["with the running season"] * self.include_running_season])

    def with_recipe(self, name: str, recipe: Recipe) -> TrainingOptions:
        """The same options for the recipe of this name and its columns."""
        return replace(self, features=recipe.columns, model_recipe=name, model_recipe_revision=recipe.revision())

    def build_model(self) -> RatingBlend | CoverageHeads | OddsPool:
        """The platform's own unfitted model."""
        return outcome_model(self.regularisation, self.seed, self.features, self.blend)


def train(
    matches: pd.DataFrame,
    features: pd.DataFrame,
    options: TrainingOptions,
    as_of: datetime,
    source: str,
    reason: str = "",
    recipe: Recipe | None = None,
) -> TrainingRun:
    """Fit the model, evaluate it walk-forward against both baselines, and describe the result.

    `features` has one row per match; `matches` provides the outcomes. Rows are joined by match_id. With few matches,
    the model is shrunk towards one of the bundled league, and without any it is that one. Raises InvalidInputError if
    there is too little to train on even so. With a `recipe`, its model is trained without shrinkage and evaluated in
    the same way; `options` are then those of `TrainingOptions.with_recipe`.
    """
    build_model = options.build_model if recipe is None else recipe.build
    rows = matches[trainable(matches, options.include_running_season)]
    if set(options.features) & set(SHOT_FEATURES) and not set(options.features) & set(COVERAGE_FEATURES):
        _need_shots_everywhere(rows)
    table = rows.merge(features[["match_id", *_model_columns(features)]], on="match_id", validate="one_to_one")
    usable = table[after_burn_in(table)]
    priors = _Priors(options)
    known_from = min(matches["kick_off"].min(), pd.Timestamp(as_of)) if usable.empty else usable["kick_off"].max()
    prior = priors.before(len(usable), known_from)
    if prior is None and usable.empty:
        raise InvalidInputError(f"{len(table)} matches of complete seasons are not enough to train on; two seasons are")
    if recipe is None and set(options.features) & set(MARKET_FEATURES):
        _need_past_odds(usable)
    elif recipe is None and set(options.features) & set(SHOT_FEATURES):
        _need_shots(usable)
    if set(options.features) & set(ODDS_FEATURES):
        _need_odds(usable)
    x = table[[*options.features, REFERENCE_FEATURE]].to_numpy(float)
    reference = len(options.features)
    forecasts = walk_forward_forecasts(
        table, x, reference, options.evaluate_from, build_model, lambda n, at: _head(priors.before(n, at))
    )
    scores = evaluation(forecasts)
    learnt = usable[list(options.features)].to_numpy(float)
    estimator = fit_model(build_model(), learnt, outcomes(usable), _head(prior))
    if recipe is not None:
        _check_loadable(recipe, estimator, learnt)
    examples = usable if len(usable) else features
    digest = content_hash(usable[["match_id", *options.features]].assign(outcome=outcomes(usable)))
    return TrainingRun(
        estimator=estimator,
        input_example=examples[list(options.features)].tail(3).reset_index(drop=True),
        dataset=usable[["match_id", "season", *options.features]].assign(outcome=outcomes(usable)),
        dataset_source=source,
        params={
            "regularisation": options.regularisation,
            "seed": options.seed,
            "include_running_season": options.include_running_season,
            "evaluate_from": options.evaluate_from,
            "features": ",".join(options.features),
            "blend": options.blend,
        },
        metrics=_flat(scores),
        tags={
            "trained_through": _trained_through(usable, prior).isoformat(),
            "trained_as_of": as_of.isoformat(),
            "training_matches": str(len(usable)),
            "seasons": f"{usable['season'].min()} to {usable['season'].max()}" if len(usable) else "none",
            "competitions": ",".join(sorted(matches["competition"].unique())),
            "shrunk_towards": "none" if prior is None else str(prior),
            "data_digest": digest if prior is None else hashlib.sha256(f"{digest} {prior}".encode()).hexdigest()[:16],
            "code_revision": code_revision(),
            "recipe": json.dumps(asdict(options), sort_keys=True),
            "trained_because": reason,
            **_owner_tag(options, recipe),
        },
        documents={"evaluation.json": json.dumps(scores, indent=2)},
        summary=f"{options}, week {week_of(as_of)}",
        trusted_types=recipe.all_trusted_types() if recipe else (),
    )


def _owner_tag(options: TrainingOptions, recipe: Recipe | None) -> dict[str, str]:
    """The tag from which processes learn what the version's model may consist of; none for the platform's own."""
    if options.model_recipe is None:
        return {}
    return {SUBMITTED_TAG if isinstance(recipe, SubmittedRecipe) else RECIPE_TAG: options.model_recipe}


def _check_loadable(recipe: Recipe, estimator: Any, x: NDArray[np.float64]) -> None:
    """Raise InvalidInputError if workers could not load a fitted model or forecast with it."""
    recipe.check_fitted(estimator, x)
    try:
        untrusted = untrusted_types(estimator, recipe.all_trusted_types())
    except ModelUnavailableError as error:
        raise InvalidInputError(f"the recipe's model would not be loaded: {error}") from error
    if untrusted:
        raise InvalidInputError(
            f"the recipe's model contains {', '.join(untrusted)}; no process would load these types unless the recipe "
            "names them in trusted_types"
        )


class _Priors:
    """Heads of the bundled league for models of few matches; the league is rated when the first one is needed."""

    def __init__(self, options: TrainingOptions) -> None:
        self._options = options
        self._heads: PriorHeads | None = None

    def before(self, training_matches: int, moment: pd.Timestamp) -> Prior | None:
        """The head of the seasons that ended before a moment; None with enough matches.

        It is also None for a recipe, and with other inputs than goals.
        """
        own_model = self._options.model_recipe is None and self._options.features == GOAL_FEATURES
        if training_matches >= FEW_MATCHES or not own_model:
            return None
        if self._heads is None:
            self._heads = PriorHeads(bundled.load(), self._build_head)
        return self._heads.before(moment)

    def _build_head(self) -> RatingBlend:
        model = self._options.build_model()
        assert isinstance(model, RatingBlend)  # the features have no odds
        return model


def _head(prior: Prior | None) -> RatingBlend | None:
    return prior.head if prior else None


def _trained_through(usable: pd.DataFrame, prior: Prior | None) -> pd.Timestamp:
    """The last kick-off that the model knows, of its own matches or of the prior's."""
    last = usable["kick_off"].max()
    return last if prior is None else max(prior.trained_through, last) if len(usable) else prior.trained_through


def _need_shots(usable: pd.DataFrame) -> None:
    """Require enough matches whose clubs have recent shots to fit the head of the shot ratings."""
    known = int((usable["matches_with_shots"] >= MIN_RECENT_WITH_SHOTS).sum())
    if known < (needed := MIN_MATCHES_OF_HEAD):
        raise InvalidInputError(
            f"the model needs {needed} matches of complete seasons after others with shots of both clubs, but there "
            f"are only {known}: use a source that has shots (football_data, or your own files), or set "
            "TOUCHLINE_FEATURES=goals"
        )


def _need_shots_everywhere(matches: pd.DataFrame) -> None:
    """Require shots for most matches of each competition: a model that does not know the coverage uses them always."""
    known = matches[["home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target"]].notna().all(axis=1)
    for competition, share in known.groupby(matches["competition"]).mean().items():
        if share < 0.5:
            raise InvalidInputError(
                f"the model needs shots, but only {share:.0%} of the matches of {competition} have them: "
                "use a source that has them (football_data, or your own files), or set TOUCHLINE_FEATURES=goals"
            )


def _need_odds(usable: pd.DataFrame) -> None:
    """Require enough matches with odds to estimate their weight."""
    priced = int(usable[list(ODDS_FEATURES)].notna().all(axis=1).sum())
    if priced < (needed := MIN_MATCHES_WITH_ODDS):
        raise InvalidInputError(
            f"the model needs odds for {needed} matches of complete seasons, but only {priced} have them: "
            "use a source that has them (football_data, or your own files), or set TOUCHLINE_FEATURES=goals"
        )


def _need_past_odds(usable: pd.DataFrame) -> None:
    """Require enough matches whose clubs have recent odds to fit the head of the market ratings."""
    known = int((market_weight(usable["variance_market"].to_numpy(float)) == 1.0).sum())
    if known < (needed := MIN_MATCHES_OF_HEAD):
        raise InvalidInputError(
            f"the model needs {needed} matches of complete seasons after others with odds of both clubs, but there "
            f"are only {known}: use a source that has odds (football_data, or your own files), or set "
            "TOUCHLINE_FEATURES=goals"
        )


def _model_columns(features: pd.DataFrame) -> list[str]:
    return [str(name) for name in features.select_dtypes("number").columns]


def evaluation(forecasts: pd.DataFrame) -> dict[str, Any]:
    """Scores of the model and the baselines on the same out-of-sample matches, overall and by season.

    Without such matches, there are no scores, and the differences have n=0.
    """
    y = forecasts["outcome"].to_numpy()
    probabilities = {
        name: forecasts[[f"{name}_{outcome}" for outcome in OUTCOMES]].to_numpy(float) for name in FORECASTERS
    }
    rps_by_forecaster = {name: rps(p, y) for name, p in probabilities.items()}
    differences = {
        name: asdict(paired_difference(rps_by_forecaster["model"], rps_by_forecaster[name])) for name in FORECASTERS[1:]
    }
    if not len(y):
        return {
            "matches": 0,
            "seasons": [],
            "scores": {},
            "difference_to": differences,
            "skill": None,
            "rps_by_season": [],
            "reliability": [],
        }
    per_match = pd.DataFrame({"season": forecasts["season"], **rps_by_forecaster})
    return {
        "matches": len(y),
        "seasons": sorted(forecasts["season"].unique()),
        "scores": {name: summary(p, y) for name, p in probabilities.items()},
        "difference_to": differences,
        "skill": float(1 - rps_by_forecaster["model"].mean() / rps_by_forecaster["base"].mean()),
        "rps_by_season": per_match.groupby("season").mean().reset_index().to_dict("records"),
        "reliability": reliability(probabilities["model"], y),
    }


def reliability(p: NDArray[np.float64], y: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Forecast against observed frequency with intervals, all outcomes pooled."""
    return reliability_curve(p.ravel(), np.eye(3, dtype=np.int64)[y].ravel())


def first_version_verdict(scores: dict[str, Any]) -> FirstVersionVerdict:
    """Whether a version with this evaluation may be the first in production, and whether it is provisional there."""
    base, elo = (Difference(**scores["difference_to"][name]) for name in ("base", "elo"))
    return judge(base, elo)


def _flat(scores: dict[str, Any]) -> dict[str, float]:
    if not scores["matches"]:
        return {}
    metrics = dict(scores["scores"]["model"])
    for name in FORECASTERS[1:]:
        metrics |= {f"{name}_{metric}": value for metric, value in scores["scores"][name].items() if metric != "n"}
        difference = scores["difference_to"][name]
        known = [bound for bound in BOUNDS if difference[bound] is not None]  # one match has no interval
        metrics |= {f"rps_vs_{name}{'' if bound == 'mean' else f'_{bound}'}": difference[bound] for bound in known}
    return {**metrics, "skill": scores["skill"]}


def content_hash(frame: pd.DataFrame) -> str:
    """A hash of the content of a table; equal tables have equal hashes."""
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()[:16]


def code_revision(root: Path = ROOT) -> str:
    """The running commit, with a hash of uncommitted files; without a checkout, the installed version.

    Images have no checkout: their build writes the revision into the version.
    """
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if commit is None:
        try:
            return version("touchline")
        except PackageNotFoundError:
            return "unknown"
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *CODE_PATHS)
    if status == "":
        return commit
    # If git fails, the files may differ from the commit too.
    files = sorted(
        file for part in CODE_PATHS for file in [root / part, *(root / part).rglob("*")] if _is_source_file(file)
    )
    content = hashlib.sha256(b"".join(str(file.relative_to(root)).encode() + file.read_bytes() for file in files))
    return f"{commit}-{'unknown' if status is None else 'dirty'}.{content.hexdigest()[:12]}"


def _is_source_file(file: Path) -> bool:
    """Whether a file is source code: neither a cache of the interpreter nor a hidden file of an editor."""
    return file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(  # noqa: S603 - no argument comes from outside
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the git of the user's PATH
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
