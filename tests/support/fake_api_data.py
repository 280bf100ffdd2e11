"""Recorded-looking documents for the fake API, built from the bundled matches of 2024/25 and 2025/26."""

from __future__ import annotations

from typing import Any

import pandas as pd

from features.io.sources import bundled
from features.matches import as_known_at
from features.metrics import rps

COMPETITION = "eng-premier-league"
MODEL = {"name": "match-outcome", "version": 3, "trained_through": "2025-05-25T15:00:00Z"}


def probabilities(home: str, away: str) -> dict[str, float]:
    """Probabilities that differ by match and are the same in every run."""
    strength = (sum(map(ord, home)) - sum(map(ord, away))) % 97 / 97 - 0.5
    p_home = 0.44 + 0.5 * strength
    p_draw = 0.27 - 0.15 * abs(strength)
    return {"home": p_home, "draw": p_draw, "away": 1 - p_home - p_draw}


def forecast(row: dict[str, Any]) -> dict[str, Any]:
    triple = probabilities(row["home_team"], row["away_team"])
    base = {k: row.get(k) for k in ("match_id", "competition", "season", "kick_off", "home_team", "away_team")}
    favourite = max(triple, key=lambda outcome: triple[outcome])
    return base | {
        "probabilities": triple,
        "predicted_outcome": favourite,
        "model": MODEL,
        "features_as_of": "2026-03-08T19:00:00Z",
    }


def published_forecast(row: dict[str, Any]) -> dict[str, Any]:
    return forecast(row) | {"published_at": "2026-03-09T00:00:00Z"}


def season(as_of: Any = bundled.REPLAY_AS_OF) -> list[dict[str, Any]]:
    """The real 2025/26 and the season before, as known in March 2026; only the running season has forecasts."""
    table = as_known_at(bundled.load(), as_of)
    table = table[table["season"].isin(["2024-25", "2025-26"])]
    rows = []
    for row in table.to_dict("records"):
        match = {k: row[k] for k in ("match_id", "competition", "season", "home_team", "away_team", "status")}
        match["matchday"] = int(row["matchday"])
        match["kick_off"] = row["kick_off"].isoformat().replace("+00:00", "Z")
        match["kick_off_precision"] = "time" if row["kick_off_exact"] else "day"
        played = row["status"] == "played"
        match["score"] = {"home": int(row["home_goals"]), "away": int(row["away_goals"])} if played else None
        match["forecast"] = published_forecast(match) if row["season"] == "2025-26" else None
        rows.append(match)
    return rows


PLACES: list[dict[str, Any]] = [
    {"name": "Title", "kind": "title", "first": 1, "last": 1},
    {"name": "Champions League", "kind": "top", "first": 1, "last": 4},
    {"name": "Relegation play-off", "kind": "play_off", "first": 17, "last": 17},
    {"name": "Relegation", "kind": "relegation", "first": 18, "last": 20},
]


def season_table(names: list[str]) -> list[dict[str, Any]]:
    """A simulated table in which the first is likely to stay first."""
    rows = []
    for place, name in enumerate(names):
        weight = [2.0 ** -abs(place - position) for position in range(len(names))]
        positions = [w / sum(weight) for w in weight]
        p = {"p_title": positions[0], "p_top_four": sum(positions[:4]), "p_relegation": sum(positions[-3:])}
        points = {"played": 29, "points": 60.0 - 2 * place, "expected_points": 80.0 - 2.5 * place}
        chances = [sum(positions[zone["first"] - 1 : zone["last"]]) for zone in PLACES]
        rows.append({"team": name, **points, **p, "positions": positions, "chances": chances})
    return rows


def drift_week(week: str, state: str, threshold: float, p_values: dict[str, float]) -> dict[str, Any]:
    """A summary as `monitoring.drift` writes it."""
    columns = [
        {
            "column": name,
            "kind": "prediction" if name in ("home", "draw", "away") else "feature",
            "p_value": p_values.get(name, 0.6),
            "threshold": threshold,
            "drifted": name in p_values,
            "missing": 0.0,
            "mean_reference": 0.12,
            "mean_window": 0.11,
        }
        for name in ("elo", "pi", "pi_reverse", "log_home_goals", "log_away_goals", "home", "draw", "away")
    ]
    return {
        "week": week,
        "method": "ks",
        "state": state,
        "matches": 100,
        "as_published": 100,
        "minimum": 100,
        "excluded_competitions": {},
        "competitions": ["eng-premier-league"],
        "digest": "0" * 16,
        "share": len(p_values) / len(columns),
        "drifted": list(p_values),
        "columns": columns,
        "window": {"from": "2026-01-03T15:00:00+00:00", "to": "2026-03-05T20:00:00+00:00"},
        "reference": {
            "from": "2022-08-05T19:00:00+00:00",
            "to": "2025-05-25T15:00:00+00:00",
            "matches": 1140,
            "seasons": ["2022-23", "2023-24", "2024-25"],
        },
        "trust": {
            "thresholds": {column["column"]: threshold for column in columns},
            "seasons": [2018, 2019],
            "windows": 174,
            "false_alarm_rate": 0.086,
            "false_alarms": {"2018": 0.1, "2019": 0.07},
            "power": {"a broken feed": 0.9},
        },
    }


def settled_forecasts(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Settled forecasts as the pipeline writes them, with the columns that the report reads."""
    codes = {"home": 0, "draw": 1, "away": 2}
    table = []
    for row in rows:
        if not (row["forecast"] and row["score"]):
            continue
        goals = row["score"]["home"] - row["score"]["away"]
        p = row["forecast"]["probabilities"]
        base = dict(zip(("base_home", "base_draw", "base_away"), (0.44, 0.24, 0.32), strict=True))
        elo = {f"elo_{name}": 0.5 * p[name] + 0.5 / 3 for name in codes}
        market = dict.fromkeys((f"market_{name}" for name in codes), float("nan"))
        outcome = "home" if goals > 0 else "away" if goals < 0 else "draw"
        keys = {k: row[k] for k in ("match_id", "competition", "season")}
        kick_off = pd.Timestamp(row["kick_off"])
        table.append(keys | p | base | elo | market | {"outcome": codes[outcome], "kick_off": kick_off})
    frame = pd.DataFrame(table).assign(model_version=3)
    frame["rps"] = rps(frame[list(codes)].to_numpy(), frame["outcome"].to_numpy())
    return frame


def _condition(name: str, passed: bool, why: str) -> dict[str, Any]:
    return {"name": name, "open": passed, "value": "-", "threshold": "-", "why": why}


GATE = {
    "as_of": "2026-03-14T06:00:00+00:00",
    "candidate": 4,
    "production": 3,
    "previous": 2,
    "policy": "manual",
    "matches": 290,
    "open": False,
    "waiting_since": None,
    "conditions": [
        _condition("enough_matches", True, "290 shadow forecasts are settled"),
        _condition("beats_base_rate", True, "better than the base rate on 290 settled matches"),
        _condition(
            "not_worse_than_production",
            False,
            "better than version 3 on the same 290 matches, but the bounds are too wide; 610 matches would be enough",
        ),
        _condition("approved", False, "approval not requested yet: not_worse_than_production must pass first"),
    ],
    "comparison": {
        "margin": 0.001,
        "results": {
            "n": 290, "mean": -0.0004, "low": -0.0031, "high": 0.0022, "needed": 610, "expected_on": "2026-11-02",
        },
        "market": {
            "n": 270, "mean": -0.0003, "low": -0.0015, "high": 0.0012, "needed": 330, "expected_on": "2026-04-03",
        },
        "residual": {"n": 270, "mean": -0.0001, "low": -0.0029, "high": 0.0028},
        "market_rejection": None,
    },
}  # fmt: skip
"""The decision on a candidate that is not known well enough yet."""
