"""The reports equal figures that this test computes from published rows and results without the product's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.io.sources import bundled

pytestmark = pytest.mark.timeout(900)  # the first test sets up a whole installation

AS_OF = pd.Timestamp(bundled.REPLAY_AS_OF)
CLASSES = ["home", "draw", "away"]
HORIZON = pd.Timedelta(days=7)


def tables(installed: Any, noun: str) -> pd.DataFrame:
    """All partitions of a table, from the files themselves."""
    return pd.read_parquet(Path(installed.settings.lake_root, noun))


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    """Matches over by the pipeline's time; `happened` is 0 for a home win, 1 for a draw, 2 for an away win."""
    played = bundled.load().query("kick_off < @AS_OF").sort_values(["kick_off", "match_id"])
    home, away = played["home_goals"].to_numpy(int), played["away_goals"].to_numpy(int)
    return played.assign(happened=np.select([home > away, home == away], [0, 1], 2))


@pytest.fixture(scope="module")
def scored(installed, results: pd.DataFrame) -> pd.DataFrame:
    """Every published forecast of a match that was played, in order of kick-off."""
    forecasts = tables(installed, "forecasts").drop(columns=["kick_off", "competition", "season"])
    return results.merge(forecasts, on="match_id", validate="one_to_one", suffixes=("", "_of_forecast"))


def means(p: np.ndarray, happened: np.ndarray) -> dict[str, float]:
    """The scores by their textbook formulas, match by match."""
    hits = np.eye(3)[happened]
    first, second = p[:, 0] - hits[:, 0], hits[:, 2] - p[:, 2]
    return {
        "n": len(p),
        "rps": np.mean([(a * a + b * b) / 2 for a, b in zip(first, second, strict=True)]),
        "log_loss": np.mean([-np.log(row[k]) for row, k in zip(p, happened, strict=True)]),
        "brier": np.mean([sum((row[k] - hit[k]) ** 2 for k in range(3)) for row, hit in zip(p, hits, strict=True)]),
        "accuracy": np.mean([int(np.argmax(row)) == k for row, k in zip(p, happened, strict=True)]),
    }


def test_all_forecasts_of_played_matches_are_settled(installed, scored) -> None:
    settled = tables(installed, "settled_forecasts").sort_values(["kick_off", "match_id"], ignore_index=True)
    assert list(settled["match_id"]) == list(scored["match_id"])
    np.testing.assert_array_equal(settled[CLASSES], scored[CLASSES])
    np.testing.assert_array_equal(settled["outcome"], scored["happened"])


def test_the_performance_report_is_exact_to_the_published_rows(installed, results, scored) -> None:
    document = installed.lake.read_json("reports/performance.json")
    assert document["matches"] == len(scored) > 250
    groups = {(group["competition"], group["window"], group["model_version"]): group for group in document["groups"]}
    assert set(groups) == {
        (competition, window, version)
        for competition in ("all", bundled.COMPETITION)
        for window, version in (("all", "all"), ("season", "all"), ("last_100", "all"), ("all", "1"), ("last_100", "1"))
    }
    learnt = results[results["kick_off"] <= scored["trained_through"].iloc[0]]
    base = np.bincount(learnt["happened"], minlength=3) / len(learnt)
    elo = tables(installed, "settled_forecasts").set_index("match_id")[[f"elo_{outcome}" for outcome in CLASSES]]
    for (_, window, _), group in groups.items():
        last = slice(-100, None) if window == "last_100" else slice(None)
        rows, happened = scored.iloc[last], scored["happened"].to_numpy()[last]
        triples = {
            "model": rows[CLASSES].to_numpy(float),
            "base": np.tile(base, (len(rows), 1)),
            "elo": elo.loc[rows["match_id"]].to_numpy(float),
        }
        ours = {name: means(p, happened) for name, p in triples.items()}
        for name, expected in ours.items():
            reported = {score: group["scores"][name][score] for score in expected}
            assert reported == pytest.approx(expected, rel=0, abs=1e-12)
        for name in ("base", "elo"):
            skill = 1 - ours["model"]["rps"] / ours[name]["rps"]
            assert group["against"][name]["skill"] == pytest.approx(skill, rel=0, abs=1e-12)
        assert group["scores"]["market"] is None, "the bundled data has no odds"
        assert group["matches"] == len(rows)
        assert (group["from"], group["to"]) == tuple(rows["kick_off"].iloc[at].isoformat() for at in (0, -1))


def test_the_trend_by_week_is_exact_to_the_published_rows(installed, scored) -> None:
    weeks = installed.lake.read_json("reports/performance.json")["weeks"]
    day = scored["kick_off"].dt.normalize()
    monday = (day - pd.to_timedelta(day.dt.weekday, unit="D")).dt.strftime("%Y-%m-%d").to_numpy()
    assert [week["week"] for week in weeks] == sorted(set(monday))
    p, happened = scored[CLASSES].to_numpy(float), scored["happened"].to_numpy()
    for week in weeks:
        its, until = monday == week["week"], monday <= week["week"]
        assert week["matches"] == its.sum()
        assert week["rps"]["model"] == pytest.approx(means(p[its], happened[its])["rps"], rel=0, abs=1e-12)
        assert week["rps_so_far"]["model"] == pytest.approx(means(p[until], happened[until])["rps"], rel=0, abs=1e-12)


def test_the_freshness_report_counts_what_is_in_the_lake(installed, results: pd.DataFrame) -> None:
    document = installed.lake.read_json("reports/freshness.json")
    forecasts, matches = tables(installed, "forecasts"), bundled.load()
    assert document["forecasts"] == {
        "published": forecasts["match_id"].nunique(),
        "settled": len(tables(installed, "settled_forecasts")),
        "last_published_at": forecasts["published_at"].max().isoformat(),
    }
    to_come = matches[matches["kick_off"] > AS_OF]
    soon = set(to_come.loc[to_come["kick_off"] <= AS_OF + HORIZON, "match_id"])
    assert len(soon) >= 10
    assert document["competitions"] == {
        bundled.COMPETITION: {
            "results": len(results),
            "fixtures": len(to_come),
            "last_result": results["kick_off"].max().isoformat(),
            "overdue": 0,
            "unlisted": 0,
            "without_forecast": len(soon - set(forecasts["match_id"])),
            "stale": 0,
            "quarantined": int((~tables(installed, "quarantine")["repaired"]).sum()),
        }
    }
