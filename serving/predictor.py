"""Forecasts now: the production model and the clubs' states in memory, followed as they change.

Knows neither HTTP nor the broker. The model is loaded on first need and once per process; `follow` keeps up with the
`production` alias: load the new version, swap, drop the old. While the registry is away, the loaded one goes on.
"""

from __future__ import annotations

import contextlib
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
from features.forecasts import probabilities, uses_odds
from features.io.registry import MODEL_NAME, PRODUCTION, LoadedModel, Registry
from features.io.store import Lake, Stamp
from features.matches import OUTCOMES
from features.matrix import FEATURES
from features.replay import STATE_COLUMNS, STATES
from features.teams import nearest
from serving.market import Market

_RETRY_SECONDS = 2.0
"""After a failed load, callers are told so for this long before the registry is asked again."""
_LOAD_PATIENCE = 10.0
"""Seconds a caller is kept waiting for the first load: a registry that hangs must not use up the caller's own."""


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
    def learnt_until(self) -> np.datetime64:
        return np.datetime64(self.trained_through.astimezone(UTC).replace(tzinfo=None), "us")

    @cached_property
    def uses_odds(self) -> bool:
        return uses_odds(self.model)

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
        self._market = Market(lake)
        self._tables: dict[str, tuple[Stamp | None, pd.DataFrame]] = {}
        self._loading = threading.Lock()
        self._first: threading.Thread | None = None
        self._first_since = 0.0
        self._failed_at = float("-inf")
        self._swaps: Counter[str] = Counter()
        self.model_error: str | None = None
        self.states_error: str | None = None

    @property
    def error(self) -> str | None:
        """What keeps the model, the states or the odds from being what the registry and the lake have now."""
        return self.model_error or self.states_error or self._market.error

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
        as_of, told = np.maximum(states.as_of[home], states.as_of[away]), None
        # no result of the country yet: what the model learnt is all that the forecast knows
        as_of = np.where(np.isnat(as_of), serving.learnt_until, as_of)
        if serving.uses_odds and usable:
            told, known_at = self._market.of([fixtures[i] for i in usable])
            as_of = np.fmax(as_of, known_at)
        called = time.perf_counter()
        p = probabilities(serving.model, before, after, neutral, told) if usable else np.empty((0, 3))
        answered = time.perf_counter()
        for row, i in enumerate(usable):
            answers[i] = _forecast(serving, fixtures[i], p[row], as_of[row])
        return Prediction(answers, serving.version, called - started, answered - called)

    def follow(self) -> bool:
        """Look at the alias and swap if it moved; True if it did. Raises ModelUnavailable, keeping what is loaded."""
        with self._loading:
            return self._load()

    def refresh_states(self) -> States:
        """Read the clubs' states that were published anew; of what is missing or unreadable the last good ones stay."""
        changed, problems = False, []
        published = self._lake.partitions("team_states")
        for part in sorted({*published, *self._tables}):
            try:
                changed |= self._read(part)
            except (NotPublished, DamagedArtefact) as error:
                problems.append(error)
        self.states_error = str(problems[0]) if problems else None
        if changed:
            self._states = _states(pd.concat([table for _, table in self._tables.values()]))
        if self._states is None:
            raise problems[0] if problems else NotPublished("no club has a state yet; run the pipeline first")
        if self._serving is not None and self._serving.uses_odds:
            self._market.refresh()
        return self._states

    def _read(self, part: str) -> bool:
        stamp, (known, _) = self._lake.table_stamp("team_states", part), self._tables.get(part, (None, None))
        if stamp is not None and stamp == known:
            return False
        table = self._lake.read_table("team_states", part, schema=STATES)
        if not np.isfinite(table[list(STATE_COLUMNS)].to_numpy()).all():
            raise DamagedArtefact(f"team_states/{part} has states that are not finite")
        self._tables[part] = stamp, table
        return True

    def _first_load(self) -> Serving:
        """The model as soon as there is one; loading goes on where this caller has to give up."""
        if time.monotonic() - self._failed_at >= _RETRY_SECONDS:
            if self._first is None or not self._first.is_alive():
                self._first = threading.Thread(target=self._try_to_follow, name="first-load", daemon=True)
                self._first_since = time.monotonic()
                self._first.start()
            self._first.join(max(0.0, self._first_since + _LOAD_PATIENCE - time.monotonic()))
        if self._serving is None:
            raise ModelUnavailable(self.model_error or "the model registry has not answered yet")
        return self._serving

    def _try_to_follow(self) -> None:
        with contextlib.suppress(ModelUnavailable):  # callers find the reason in `error`
            self.follow()

    def _load(self) -> bool:
        try:
            found = self._registry.by_alias(PRODUCTION)
            if found is None:
                if self._serving is not None:
                    return False
                raise ModelUnavailable(f"no version of {MODEL_NAME} is in {PRODUCTION} yet")
            if self._serving is not None and self._serving.version == found.version:
                self.model_error = None
                return False
            serving = _proven(self._registry.load(found))
        except Exception as error:
            explained = isinstance(error, TouchlineError)
            self.model_error = str(error) if explained else f"version cannot be used: {error!r}"
            self._failed_at = time.monotonic()
            self._swaps["failure"] += 1
            raise ModelUnavailable(self.model_error) from error
        self._serving, self.model_error = serving, None
        self._swaps["success"] += 1
        return True

    def take_swaps(self) -> dict[str, int]:
        """Attempts to load a version since this was last asked, by result."""
        taken, self._swaps = self._swaps, Counter()
        return dict(taken)


def _proven(model: LoadedModel) -> Serving:
    """A version that has answered as every request will ask it: one that cannot never takes over."""
    serving = Serving(model, datetime.now(UTC))
    named = f"version {serving.version} cannot be used"
    if "trained_through" not in model.version.tags or serving.trained_through.tzinfo is None:
        raise ModelUnavailable(f"{named}: its tag trained_through is no moment with a time zone")
    if unknown := sorted(set(model.features) - set(FEATURES)):
        raise ModelUnavailable(f"{named}: it wants the features {unknown}, which nobody computes")
    clubs = np.zeros((2, len(STATE_COLUMNS)))
    p = probabilities(model, clubs, clubs, np.array([False, True]))
    if p.shape != (2, len(OUTCOMES)) or not np.allclose(p.sum(axis=1), 1) or (p < 0).any():
        raise ModelUnavailable(f"{named}: it gave {p.tolist()} in place of three probabilities a match")
    return serving


def _states(table: pd.DataFrame) -> States:
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
