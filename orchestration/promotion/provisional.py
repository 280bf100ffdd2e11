"""The provisional version in production: its tags, and when it is confirmed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.errors import NotPublishedError
from features.io import report_files
from features.io.registry import PRODUCTION, ModelVersion, Registry
from features.io.store import Lake
from features.matches import OUTCOMES
from features.metrics import base_rate
from monitoring.differences import Difference
from monitoring.first_version import Provisional, judge, pool
from monitoring.performance import compare_with
from orchestration.steps import lake_tables

TAGS = ("provisional_because", "provisional_matches", "provisional_missing")


def tags_of(provisional: Provisional) -> dict[str, str]:
    """The tags that mark a version as provisional."""
    values = (provisional.reason, str(provisional.matches), str(provisional.missing))
    return dict(zip(TAGS, values, strict=True))


def provisional_of(version: ModelVersion | None) -> Provisional | None:
    """Why a version is provisional, read from its tags; None if it is not."""
    if version is None or any(name not in version.tags for name in TAGS):
        return None
    reason, matches, missing = (version.tags[name] for name in TAGS)
    return Provisional(reason, int(matches), int(missing))


def update_provisional(registry: Registry, lake: Lake) -> Provisional | None:
    """Judge a provisional version in production again, by its evaluation and its settled forecasts.

    Returns why it is still provisional. If it is confirmed, its tags are removed, and the result is None.
    """
    version = registry.by_alias(PRODUCTION)
    before = provisional_of(version)
    if version is None or before is None:
        return None
    settled = lake_tables.settled_forecasts(lake)
    settled = settled[settled["model_version"] == version.version]
    verdict = judge(*(_difference(lake, version, settled, baseline) for baseline in ("base", "elo")))
    now = verdict.provisional
    if verdict.rejection:  # it stays, because without it there would be no forecasts; alarms request a retraining
        now = Provisional(verdict.rejection, max(before.matches, len(settled)), 0)
    if now is None:
        registry.remove_tags(version.version, TAGS)
    elif now != before:
        registry.set_tags(version.version, tags_of(now))
    return now


def _difference(lake: Lake, version: ModelVersion, settled: pd.DataFrame, baseline: str) -> Difference:
    """The paired RPS difference to a baseline, over the matches of the evaluation and the settled forecasts."""
    try:
        evaluation = lake.read_json(report_files.evaluation_path(version.version))
        walk_forward = Difference(**evaluation["difference_to"][baseline])
    except NotPublishedError:
        walk_forward = Difference(0, None, None, None)
    if baseline == "base" and len(settled):
        # The shares in these matches themselves: those up to the end of training are unknown in a first season.
        shares = base_rate(settled["outcome"].to_numpy(np.int64))
        settled = settled.assign(**{f"base_{name}": share for name, share in zip(OUTCOMES, shares, strict=True)})
    compared = compare_with(settled, baseline)
    if compared is None:
        return walk_forward
    return pool(walk_forward, Difference(compared["n"], compared["mean"], compared["low"], compared["high"]))
