"""One training, from published tables to everything that the registry should know about it."""

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
from features.io.registry import Training
from features.matches import OUTCOMES, Status, outcomes
from features.matrix import GOAL_FEATURES, ODDS_FEATURES, REFERENCE_FEATURE, SHOT_FEATURES
from features.metrics import rps, summary
from features.models import REGULARISATION, Head, outcome_model, walk_forward_forecasts
from features.pool import LEAST
from features.splits import settled
from monitoring import gate
from monitoring.calibration import reliability_curve
from monitoring.performance import Difference, paired_difference

ROOT = Path(__file__).resolve().parents[2]

SOURCES = ("features", "monitoring", "orchestration", "requirements.lock")
"""What decides, with data and recipe, which model comes out."""

IDENTITY = ("data_digest", "recipe", "code_revision")
"""Tags that together determine a model bit for bit."""

BOUNDS = ("mean", "low", "high")

FORECASTERS = ("model", "elo", "base")
"""The model, plain Elo, and the base rate, all judged on the same matches."""


@dataclass(frozen=True)
class Recipe:
    """What, with the data, determines a model bit for bit."""

    seed: int
    evaluate_from: int
    regularisation: float = REGULARISATION
    include_running_season: bool = False
    features: tuple[str, ...] = GOAL_FEATURES
    blend: bool = False

    def head(self) -> Head:
        """The model, not yet fitted."""
        return outcome_model(self.regularisation, self.seed, self.features, self.blend)


def trainable(matches: pd.DataFrame, include_running_season: bool = False) -> NDArray[np.bool_]:
    """Rows to learn from: played, of seasons that are over (or of the running one too).

    A season is over when none of its matches is to come, or when the next one has begun. Its model may then forecast
    every week of the running season; one that has seen results of the running season may forecast later weeks only.
    """
    played = (matches["status"] == Status.PLAYED).to_numpy()
    if include_running_season:
        return np.asarray(played)
    keys = matches["competition"] + "/" + matches["season"]
    latest = matches["competition"].map(matches[played].groupby("competition")["season"].max())
    open_seasons = set(keys[~played])
    over = (matches["season"] < latest).to_numpy() | ~keys.isin(open_seasons).to_numpy()
    return np.asarray(played & over)


def train(
    matches: pd.DataFrame, features: pd.DataFrame, recipe: Recipe, as_of: datetime, source: str, reason: str = ""
) -> Training:
    """Fit the model, judge it walk-forward against both references, and describe all of it.

    `features` has one row per match; `matches` provides the outcomes. Rows are joined by match_id. Raises
    InvalidInputError if there is too little to train on.
    """
    rows = matches[trainable(matches, recipe.include_running_season)]
    if set(recipe.features) & set(SHOT_FEATURES):
        _need_shots(rows)
    table = rows.merge(features[["match_id", *_model_columns(features)]], on="match_id", validate="one_to_one")
    learnt = table[settled(table)]
    if learnt.empty:
        raise InvalidInputError(f"{len(table)} matches of complete seasons are not enough to train on; two seasons are")
    if set(recipe.features) & set(ODDS_FEATURES):
        _need_odds(learnt)
    x = table[[*recipe.features, REFERENCE_FEATURE]].to_numpy(float)
    reference = len(recipe.features)
    judged = walk_forward_forecasts(table, x, reference, recipe.evaluate_from, recipe.head)
    scores = evaluation(judged)
    estimator = recipe.head().fit(learnt[list(recipe.features)].to_numpy(float), outcomes(learnt))
    return Training(
        estimator=estimator,
        input_example=learnt[list(recipe.features)].tail(3).reset_index(drop=True),
        dataset=learnt[["match_id", "season", *recipe.features]].assign(outcome=outcomes(learnt)),
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
            "trained_through": learnt["kick_off"].max().isoformat(),
            "trained_as_of": as_of.isoformat(),
            "training_matches": str(len(learnt)),
            "seasons": f"{learnt['season'].min()} to {learnt['season'].max()}",
            "competitions": ",".join(sorted(learnt["competition"].unique())),
            "data_digest": content_hash(learnt[["match_id", *recipe.features]].assign(outcome=outcomes(learnt))),
            "code_revision": code_revision(),
            "recipe": json.dumps(asdict(recipe), sort_keys=True),
            "trained_because": reason,
        },
        documents={"evaluation.json": json.dumps(scores, indent=2)},
    )


def refit(dataset: pd.DataFrame, recipe: Recipe) -> Head:
    """The model of a dataset and a recipe, bit for bit; both are kept with the version that they made."""
    return recipe.head().fit(dataset[list(recipe.features)].to_numpy(float), dataset["outcome"].to_numpy(np.int64))


def _need_shots(matches: pd.DataFrame) -> None:
    """Ratings of shots stand still where shots are unknown, so a model that uses them needs most of them."""
    known = matches[["home_shots", "away_shots", "home_shots_on_target", "away_shots_on_target"]].notna().all(axis=1)
    for competition, share in known.groupby(matches["competition"]).mean().items():
        if share < 0.5:
            raise InvalidInputError(
                f"the model is to learn from shots, but they are known of {share:.0%} of the matches of {competition}: "
                "use a source that has them (football_data, or your own files), or set TOUCHLINE_FEATURES=goals"
            )


def _need_odds(learnt: pd.DataFrame) -> None:
    """Without matches that had odds, nobody can learn what odds are worth."""
    priced = int(learnt[list(ODDS_FEATURES)].notna().all(axis=1).sum())
    if priced < LEAST:
        raise InvalidInputError(
            f"the model is to learn from odds, but they are known of {priced} matches of complete seasons and {LEAST} "
            "are needed: use a source that has them (football_data, or your own files), or set TOUCHLINE_FEATURES=goals"
        )


def _model_columns(features: pd.DataFrame) -> list[str]:
    return [str(name) for name in features.select_dtypes("number").columns]


def evaluation(judged: pd.DataFrame) -> dict[str, Any]:
    """Scores of the model and the references on the same out-of-sample matches, overall and by season."""
    y = judged["outcome"].to_numpy()
    triples = {name: judged[[f"{name}_{one}" for one in OUTCOMES]].to_numpy(float) for name in FORECASTERS}
    each = {name: rps(p, y) for name, p in triples.items()}
    differences = {name: asdict(paired_difference(each["model"], each[name])) for name in FORECASTERS[1:]}
    per_match = pd.DataFrame({"season": judged["season"], **each})
    return {
        "matches": len(y),
        "seasons": sorted(judged["season"].unique()),
        "scores": {name: summary(p, y) for name, p in triples.items()},
        "difference_to": differences,
        "skill": float(1 - each["model"].mean() / each["base"].mean()),
        "rps_by_season": per_match.groupby("season").mean().reset_index().to_dict("records"),
        "reliability": reliability(triples["model"], y),
    }


def reliability(p: NDArray[np.float64], y: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Forecast against observed frequency with its interval, all outcomes pooled."""
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
        metrics |= {f"rps_vs_{name}{'' if one == 'mean' else f'_{one}'}": difference[one] for one in BOUNDS}
    return {**metrics, "skill": scores["skill"]}


def content_hash(frame: pd.DataFrame) -> str:
    """A fingerprint of a table's content; equal tables have equal ones."""
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()[:16]


def code_revision(root: Path = ROOT) -> str:
    """The commit that runs, with a fingerprint of what is not committed; without a checkout the installed version.

    Images have no checkout: their build writes the revision into the version.
    """
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if commit is None:
        try:
            return version("touchline")
        except PackageNotFoundError:
            return "unknown"
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *SOURCES)
    if status == "":
        return commit
    # Where git cannot tell, nobody knows that it is that commit.
    files = sorted(
        file for part in SOURCES for file in [root / part, *(root / part).rglob("*")] if _is_source_file(file)
    )
    content = hashlib.sha256(b"".join(str(file.relative_to(root)).encode() + file.read_bytes() for file in files))
    return f"{commit}-{'unknown' if status is None else 'dirty'}.{content.hexdigest()[:12]}"


def _is_source_file(file: Path) -> bool:
    """Whether a file is code, or data that belongs to it, and not what an interpreter or an editor left behind."""
    return file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(  # noqa: S603 - every argument is ours
            ["git", "-C", str(root), *arguments],  # noqa: S607 - git is found where the user's shell finds it
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
