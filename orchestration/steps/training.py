"""Trains a model from published tables, and collects everything that the registry stores about it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import InvalidInputError
from features.io.registry import TrainingRun
from features.matches import OUTCOMES, Status, outcomes
from features.matrix import GOAL_FEATURES, ODDS_FEATURES, REFERENCE_FEATURE, SHOT_FEATURES
from features.metrics import rps, summary
from features.models import REGULARISATION, Classifier, outcome_model, walk_forward_forecasts
from features.pool import MIN_MATCHES_WITH_ODDS
from features.splits import after_burn_in
from monitoring import gate
from monitoring.calibration import reliability_curve
from monitoring.performance import Difference, paired_difference

ROOT = Path(__file__).resolve().parents[2]

CODE_PATHS = ("features", "monitoring", "orchestration", "requirements.lock")
"""The code that determines the model, together with data and recipe."""

IDENTITY = ("data_digest", "recipe", "code_revision")
"""Tags that together determine a model bit for bit."""

BOUNDS = ("mean", "low", "high")

FORECASTERS = ("model", "elo", "base")
"""The model and its baselines, plain Elo and the base rate, all evaluated on the same matches."""


@dataclass(frozen=True)
class Recipe:
    """Settings that, together with the data, determine a model bit for bit."""

    seed: int
    evaluate_from: int
    regularisation: float = REGULARISATION
    include_running_season: bool = False
    features: tuple[str, ...] = GOAL_FEATURES
    blend: bool = False

    def build_model(self) -> Classifier:
        """The unfitted model."""
        return outcome_model(self.regularisation, self.seed, self.features, self.blend)


def trainable(matches: pd.DataFrame, include_running_season: bool = False) -> NDArray[np.bool_]:
    """Mask of the rows to train on: played matches of complete seasons, optionally of the current one too.

    A season is complete when all its matches are played or the next season has begun. A model of complete seasons may
    forecast every week of the current season; one that was trained on the current season may forecast later weeks only.
    """
    played = (matches["status"] == Status.PLAYED).to_numpy()
    if include_running_season:
        return np.asarray(played)
    keys = matches["competition"] + "/" + matches["season"]
    latest = matches["competition"].map(matches[played].groupby("competition")["season"].max())
    open_seasons = set(keys[~played])
    complete = (matches["season"] < latest).to_numpy() | ~keys.isin(open_seasons).to_numpy()
    return np.asarray(played & complete)


def train(
    matches: pd.DataFrame, features: pd.DataFrame, recipe: Recipe, as_of: datetime, source: str, reason: str = ""
) -> TrainingRun:
    """Fit the model, evaluate it walk-forward against both baselines, and describe the result.

    `features` has one row per match; `matches` provides the outcomes. Rows are joined by match_id. Raises
    InvalidInputError if there is too little to train on.
    """
    rows = matches[trainable(matches, recipe.include_running_season)]
    if set(recipe.features) & set(SHOT_FEATURES):
        _need_shots(rows)
    table = rows.merge(features[["match_id", *_model_columns(features)]], on="match_id", validate="one_to_one")
    usable = table[after_burn_in(table)]
    if usable.empty:
        raise InvalidInputError(f"{len(table)} matches of complete seasons are not enough to train on; two seasons are")
    if set(recipe.features) & set(ODDS_FEATURES):
        _need_odds(usable)
    x = table[[*recipe.features, REFERENCE_FEATURE]].to_numpy(float)
    reference = len(recipe.features)
    forecasts = walk_forward_forecasts(table, x, reference, recipe.evaluate_from, recipe.build_model)
    scores = evaluation(forecasts)
    estimator = recipe.build_model().fit(usable[list(recipe.features)].to_numpy(float), outcomes(usable))
    return TrainingRun(
        estimator=estimator,
        input_example=usable[list(recipe.features)].tail(3).reset_index(drop=True),
        dataset=usable[["match_id", "season", *recipe.features]].assign(outcome=outcomes(usable)),
        dataset_source=source,
        params={
            "regularisation": recipe.regularisation,
            "seed": recipe.seed,
            "include_running_season": recipe.include_running_season,
            "evaluate_from": recipe.evaluate_from,
            "features": ",".join(recipe.features),
            "blend": recipe.blend,
        },
        metrics=_flat(scores),
        tags={
            "trained_through": usable["kick_off"].max().isoformat(),
            "trained_as_of": as_of.isoformat(),
            "training_matches": str(len(usable)),
            "seasons": f"{usable['season'].min()} to {usable['season'].max()}",
            "competitions": ",".join(sorted(usable["competition"].unique())),
            "data_digest": content_hash(usable[["match_id", *recipe.features]].assign(outcome=outcomes(usable))),
            "code_revision": code_revision(),
            "recipe": json.dumps(asdict(recipe), sort_keys=True),
            "trained_because": reason,
        },
        documents={"evaluation.json": json.dumps(scores, indent=2)},
    )


def _need_shots(matches: pd.DataFrame) -> None:
    """Require shots for most matches, because a match without them does not change the shot ratings."""
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


def _model_columns(features: pd.DataFrame) -> list[str]:
    return [str(name) for name in features.select_dtypes("number").columns]


def evaluation(forecasts: pd.DataFrame) -> dict[str, Any]:
    """Scores of the model and the baselines on the same out-of-sample matches, overall and by season."""
    y = forecasts["outcome"].to_numpy()
    probabilities = {
        name: forecasts[[f"{name}_{outcome}" for outcome in OUTCOMES]].to_numpy(float) for name in FORECASTERS
    }
    rps_by_forecaster = {name: rps(p, y) for name, p in probabilities.items()}
    differences = {
        name: asdict(paired_difference(rps_by_forecaster["model"], rps_by_forecaster[name])) for name in FORECASTERS[1:]
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


def first_version_rejection(scores: dict[str, Any]) -> str | None:
    """Why a version with this evaluation may not be the first in production; None if it may."""
    base, elo = (Difference(**scores["difference_to"][name]) for name in ("base", "elo"))
    return gate.first_version_rejection(base, elo)


def _flat(scores: dict[str, Any]) -> dict[str, float]:
    metrics = dict(scores["scores"]["model"])
    for name in FORECASTERS[1:]:
        metrics |= {f"{name}_{metric}": value for metric, value in scores["scores"][name].items() if metric != "n"}
        difference = scores["difference_to"][name]
        metrics |= {f"rps_vs_{name}{'' if bound == 'mean' else f'_{bound}'}": difference[bound] for bound in BOUNDS}
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
