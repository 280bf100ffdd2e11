"""`touchline inspect`: what the sources contain, what the pipeline would say, and what will be possible with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd

from features.io.clock import Clock
from features.io.rulings import load_rulings
from features.io.sources import SourceResult, bundled, names
from features.io.sources.club_aliases import load_aliases
from features.io.sources.inspection import SHOWN, Inspection, Verdict, inspect_source
from features.io.store import Lake
from features.matches import Status, as_known_at
from features.matrix import FeatureGroup
from features.prior_head import FEW_MATCHES, has_ended_season
from features.splits import after_burn_in, trainable, walk_forward
from monitoring.checks.evaluation import evaluate
from monitoring.checks.result import describe_rows, with_origins
from monitoring.sample_size import MIN_MATCHES
from orchestration.evaluation_settings import EvaluationSettings
from orchestration.steps.match_checks import published_matches, tables_to_check


def inspect(
    settings: EvaluationSettings,
    slugs: Sequence[str] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Inspect the configured sources, for the given competitions or those of the settings.

    Raises
    ------
    InvalidInputError
        If the rulings that the settings name cannot be used.
    """
    load_rulings(settings.rulings, load_aliases(settings.aliases))
    replaying, lake, usable = Clock(settings).replaying, Lake(settings.lake_root), list[pd.DataFrame]()

    def judge(slug: str, result: SourceResult, as_of: datetime) -> Verdict:
        published = published_matches(lake, slug)
        published = published[published["season"].str[:4] >= str(settings.first_season)]
        blocking, warnings = failed_checks(result, published, names(settings), as_of, replaying)
        usable.extend([] if blocking else [as_known_at(result.matches, as_of)])
        return Verdict((*blocking, *warnings), bool(blocking))

    report = inspect_source(settings, slugs, on_progress, judge)
    if not usable:
        return report
    matches = pd.concat(usable, ignore_index=True)
    text = outlook(matches, settings.evaluation_first_season, settings.features, Clock(settings).as_of())
    return report._replace(text=f"{report.text}\n\n{text}")


def failed_checks(
    loaded: SourceResult, published: pd.DataFrame, sources: Sequence[str], as_of: datetime, replaying: bool
) -> tuple[list[str], list[str]]:
    """One line for each failed check: those that stop the pipeline, and the warnings."""
    blocking, warnings = [], []
    for suite, table in tables_to_check(loaded.matches, published, sources, as_of, replaying).items():
        for result in with_origins(evaluate(suite, table, as_of, SHOWN), loaded.origins):
            claim = f"{result.description}: {describe_rows(result, SHOWN)}"
            if result.blocks:
                blocking.append(f"  stops the pipeline: {claim}")
            elif not result.passed:
                warnings.append(f"  warning: {claim}")
    return blocking, warnings


def outlook(matches: pd.DataFrame, first: int, features: FeatureGroup, as_of: datetime) -> str:
    """Say what will be possible: matches to train on, to judge a first model by, and to forecast."""
    played = int((matches["status"] == Status.PLAYED).sum())
    usable = matches[trainable(matches)].reset_index(drop=True)
    splits = list(walk_forward(usable, first)) if len(usable) else []
    judged, trained = sum(len(test) for *_, test in splits), int(after_burn_in(usable).sum()) if len(usable) else 0
    lines = [
        f"outlook: {played} settled matches, {len(matches) - played} to come",
        f"  {len(usable)} of complete seasons, of which {judged} from {first} on have earlier seasons to learn from",
    ]
    if trained < FEW_MATCHES and features == FeatureGroup.GOALS:
        known_from = usable["kick_off"].max() if trained else min(matches["kick_off"].min(), pd.Timestamp(as_of))
        has_prior = has_ended_season(bundled.load(), known_from)
    else:
        has_prior = False
    if not trained and not has_prior:
        return "\n".join([*lines, f"  a first model cannot be trained yet: {_what_is_missing(features)}"])
    if has_prior:
        lines.append(f"  it learns from {trained} matches and, because these are few, from the bundled league")
    if judged >= MIN_MATCHES:
        return "\n".join([*lines, "  a first model can be trained and judged"])
    return "\n".join(
        [
            *lines,
            f"  a first model can be trained, and is provisional in production: it is judged by {judged} matches, and "
            f"{MIN_MATCHES - judged} more of {MIN_MATCHES} are needed; earlier seasons and settled forecasts count",
        ]
    )


def _what_is_missing(features: FeatureGroup) -> str:
    """Say what would make a first training possible."""
    if features == FeatureGroup.GOALS:
        return "it needs two complete seasons, or a first match after the bundled league's season 2015-16"
    return f"with TOUCHLINE_FEATURES={features.value} it needs two complete seasons; with goals it needs none"
