"""Forecasts now: the production model and the clubs' states in memory, followed as they change.

Knows neither HTTP nor the broker. The model is loaded on first need and once per process; `follow` keeps up with the
`production` alias: load the new version, swap, drop the old. While the registry is away, the loaded one goes on.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import (
    DamagedArtefact,
    LeakageError,
    ModelUnavailable,
    NotPublished,
    TouchlineError,
    UnknownTeam,
)
from features.forecasts import probabilities
from features.io.registry import MODEL_NAME, PRODUCTION, LoadedModel, Registry
from features.io.store import Lake, Stamp
from features.matches import OUTCOMES
from features.replay import STATE_COLUMNS
from features.teams import nearest

_RETRY_SECONDS = 2.0
"""After a failed load, callers are told so for this long before the registry is asked again."""


class Fixture(TypedDict):
    """One match to forecast: canonical names, kick-off in ISO 8601 or None."""

    match_id: str
    competition: str
    season: str
    kick_off: str | None
    home_team: str
    away_team: str
    neutral: bool


@dataclass(frozen=True)
class Serving:
    """The model in use; one call of `predict` sees exactly one of these."""

    model: LoadedModel
    loaded_at: datetime

    @property
    def version(self) -> int:
        return self.model.version.version

    @cached_property
    def trained_through(self) -> datetime:
        return self.model.version.trained_through

    @cached_property
    def reference(self) -> dict[str, Any]:
        """The model as every forecast names it."""
        name = self.model.version.name
        return {"name": name, "version": self.version, "trained_through": self.trained_through.isoformat()}


@dataclass(frozen=True)
class States:
    """States of all clubs as one matrix, found by (competition, club)."""

    rows: Mapping[tuple[str, str], int]
    values: NDArray[np.float64]
    as_of: NDArray[np.datetime64]


@dataclass(frozen=True)
class Prediction:
    """Answers in the order of the fixtures (a forecast or why there is none), the version, and where the time went."""

    answers: list[dict[str, Any] | TouchlineError]
    version: int
    features_seconds: float
    model_seconds: float


class Predictor:
    """One per worker process."""

    def __init__(self, registry: Registry, lake: Lake) -> None:
        self._registry = registry
        self._lake = lake
        self._serving: Serving | None = None
        self._states: States | None = None
        self._stamps: dict[str, Stamp | None] = {}
        self._loading = threading.Lock()
        self._failed_at = float("-inf")
        self._swaps: Counter[str] = Counter()
        self.error: str | None = None

    @property
    def serving(self) -> Serving | None:
        """The model in memory, if any."""
        return self._serving

    def predict(self, fixtures: Sequence[Fixture]) -> Prediction:
        """Forecast fixtures by one model call; raises ModelUnavailable or NotPublished if nothing can be forecast."""
        serving, states = self._serving or self._first_load(), self._states or self.refresh_states()
        started = time.perf_counter()
        answers: list[dict[str, Any] | TouchlineError] = []
        usable, home, away = [], [], []
        for fixture in fixtures:
            try:
                pair = _pair(states, fixture)
            except UnknownTeam as error:
                answers.append(error)
                continue
            usable.append(len(answers))
            home.append(pair[0])
            away.append(pair[1])
            answers.append({})
        neutral = np.fromiter((fixtures[i]["neutral"] for i in usable), bool, len(usable))
        before, after = states.values[home], states.values[away]
        called = time.perf_counter()
        p = probabilities(serving.model, before, after, neutral) if usable else np.empty((0, 3))
        answered = time.perf_counter()
        as_of = np.maximum(states.as_of[home], states.as_of[away])
        for row, i in enumerate(usable):
            answers[i] = _forecast(serving, fixtures[i], p[row], as_of[row])
        return Prediction(answers, serving.version, called - started, answered - called)

    def follow(self) -> bool:
        """Look at the alias and swap if it moved; True if it did. Raises ModelUnavailable, keeping what is loaded."""
        with self._loading:
            return self._load()

    def refresh_states(self) -> States:
        """Read the clubs' states if they were published anew; what cannot be read leaves the last good ones in use."""
        parts = self._lake.partitions("team_states")
        stamps = {part: self._lake.table_stamp("team_states", part) for part in parts}
        if self._states is not None and stamps == self._stamps:
            return self._states
        try:
            if not parts:
                raise NotPublished("no club has a state yet; run the pipeline first")
            self._states = _states(pd.concat([self._lake.read_table("team_states", part) for part in parts]))
            self._stamps = stamps
        except (NotPublished, DamagedArtefact) as error:
            self.error = str(error)
            if self._states is None:
                raise
        return self._states

    def _first_load(self) -> Serving:
        with self._loading:
            if self._serving is None:
                if time.monotonic() - self._failed_at < _RETRY_SECONDS:
                    raise ModelUnavailable(self.error or "no model could be loaded")
                self._load()
            assert self._serving is not None
            return self._serving

    def _load(self) -> bool:
        try:
            found = self._registry.by_alias(PRODUCTION)
            if found is None:
                if self._serving is not None:
                    return False
                raise ModelUnavailable(f"no version of {MODEL_NAME} is in {PRODUCTION} yet")
            if self._serving is not None and self._serving.version == found.version:
                self.error = None
                return False
            model = self._registry.load(found)
            model.predict_proba(np.zeros((1, len(model.features))))  # a model that cannot predict never takes over
        except TouchlineError as error:
            self.error, self._failed_at = str(error), time.monotonic()
            self._swaps["failure"] += 1
            raise
        except Exception as error:
            self.error, self._failed_at = f"version cannot be used: {error}", time.monotonic()
            self._swaps["failure"] += 1
            raise ModelUnavailable(self.error) from error
        self._serving, self.error = Serving(model, datetime.now(UTC)), None
        self._swaps["success"] += 1
        return True

    def take_swaps(self) -> dict[str, int]:
        """Attempts to load a version since this was last asked, by result."""
        taken, self._swaps = self._swaps, Counter()
        return dict(taken)


def _states(table: pd.DataFrame) -> States:
    missing = {"competition", "team", "features_as_of", *STATE_COLUMNS} - set(table.columns)
    if missing:
        raise DamagedArtefact(f"team_states lacks {sorted(missing)}: it was written by an older version")
    keys = zip(table["competition"].tolist(), table["team"].tolist(), strict=True)
    return States(
        {key: row for row, key in enumerate(keys)},
        table[list(STATE_COLUMNS)].to_numpy(float),
        table["features_as_of"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]"),
    )


def _pair(states: States, fixture: Fixture) -> tuple[int, int]:
    try:
        where = fixture["competition"]
        return states.rows[where, fixture["home_team"]], states.rows[where, fixture["away_team"]]
    except KeyError as error:
        _, name = error.args[0]
        known = [team for competition, team in states.rows if competition == where]
        raise UnknownTeam(
            f"club {name!r} has no state in {where}; nearest known: {', '.join(nearest(name, known))}"
        ) from error


def _forecast(
    serving: Serving, fixture: Fixture, p: NDArray[np.float64], as_of: np.datetime64
) -> dict[str, Any] | TouchlineError:
    trained_through = serving.trained_through
    if np.isnat(as_of):  # no result of the country yet: what the model learnt is all that the forecast knows
        as_of = np.datetime64(trained_through.astimezone(UTC).replace(tzinfo=None))
    known_until = f"{np.datetime_as_string(as_of, unit='s')}Z"
    if fixture["kick_off"] is not None:
        kick_off = datetime.fromisoformat(fixture["kick_off"])
        if kick_off <= max(trained_through, datetime.fromisoformat(known_until)):
            return LeakageError(
                f"kick_off {fixture['kick_off']} is not after the last result that is known ({known_until}) "
                f"and the model's training ({trained_through.isoformat()}): refused"
            )
    home, draw, away = p.tolist()
    return {
        "match_id": fixture["match_id"],
        "competition": fixture["competition"],
        "season": fixture["season"],
        "kick_off": fixture["kick_off"],
        "home_team": fixture["home_team"],
        "away_team": fixture["away_team"],
        "probabilities": {"home": home, "draw": draw, "away": away},
        "predicted_outcome": OUTCOMES[int(p.argmax())],
        "model": serving.reference,
        "features_as_of": known_until,
    }
