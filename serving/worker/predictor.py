"""Forecasts on demand, from the production model and the clubs' rating states in memory.

Imports neither HTTP nor the broker. The model is loaded on first use, once per process. `refresh_model` follows the
`production` alias: it loads the new version, replaces the old one, then drops it. While the registry is down or the new
version cannot be used, the loaded one stays in use; a process that has none then loads the one before.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from features.errors import (
    CorruptArtefactError,
    LeakageError,
    ModelUnavailableError,
    NotPublishedError,
    TouchlineError,
)
from features.forecasts import probabilities, uses_odds
from features.io.promotion_log import history, restorable_versions, version_to_serve
from features.io.registry import MODEL_NAME, PRODUCTION, LoadedModel, ModelVersion
from features.io.store import Fingerprint, Lake
from features.matches import OUTCOMES
from features.matrix import FEATURES
from features.rating_history import STATE_COLUMNS, STATES
from serving.errors import to_wire
from serving.wire.columns import FixtureBatch, ForecastBatch
from serving.wire.fixtures import to_iso_utc
from serving.worker.odds import OddsTable
from serving.worker.team_states import TeamStates

RETRY_AFTER_SECONDS = 2.0
"""Minimum interval between attempts to load the model after a failure."""
MAX_SUBSTITUTES = 3
"""How many earlier versions a process tries at its start if the one in production cannot be used."""
FIRST_LOAD_TIMEOUT_SECONDS = 10.0
"""How long a request waits for the first load, so that a registry that hangs does not use up the request's timeout."""


@dataclass(frozen=True)
class ActiveModel:
    """A loaded model with its version. One call of `predict` uses exactly one of these."""

    model: LoadedModel
    loaded_at: datetime

    @property
    def version(self) -> int:
        return self.model.version.version

    @cached_property
    def trained_through(self) -> datetime:
        return self.model.version.trained_through

    @cached_property
    def trained_through_np(self) -> np.datetime64:
        return np.datetime64(self.trained_through.astimezone(UTC).replace(tzinfo=None), "us")

    @cached_property
    def uses_odds(self) -> bool:
        return uses_odds(self.model)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """The field `model` of every forecast."""
        name = self.model.version.name
        return {"name": name, "version": self.version, "trained_through": to_iso_utc(self.trained_through)}


@dataclass(frozen=True)
class Prediction:
    """Forecasts of a batch, the version that made all of them, and the time that each stage took."""

    forecasts: ForecastBatch
    version: int
    features_seconds: float
    model_seconds: float


class ModelSource(Protocol):
    """What the predictor needs of a model registry, such as `features.io.registry.Registry`."""

    def by_alias(self, alias: str, /) -> ModelVersion | None: ...

    def versions(self) -> Sequence[ModelVersion]: ...

    def load(self, version: ModelVersion, /) -> LoadedModel: ...


class Predictor:
    """Makes the forecasts of one child process.

    With `require_decision`, it uses only versions that the promotion gate or a rollback put into production.
    """

    def __init__(
        self,
        registry: ModelSource,
        lake: Lake,
        clock: Callable[[], float] = time.monotonic,
        require_decision: bool = False,
    ) -> None:
        self._registry = registry
        self._require_decision = require_decision
        self._lake = lake
        self._clock = clock
        self._active: ActiveModel | None = None
        self._team_states: TeamStates | None = None
        self._odds = OddsTable(lake)
        self._tables: dict[str, tuple[Fingerprint | None, pd.DataFrame]] = {}
        self._load_lock = threading.Lock()
        self._first_load_thread: threading.Thread | None = None
        self._first_load_started = 0.0
        self._failed_at = float("-inf")
        self._reload_counts: Counter[str] = Counter()
        self.model_error: str | None = None
        self.team_states_error: str | None = None

    @property
    def error(self) -> str | None:
        """Why the model, the team states or the odds are not the newest ones of registry and lake."""
        return self.model_error or self.team_states_error or self._odds.error

    @property
    def active(self) -> ActiveModel | None:
        """The model in memory, if any."""
        return self._active

    def predict(self, batch: FixtureBatch) -> Prediction:
        """Forecast a batch by one model call; raises ModelUnavailableError or NotPublishedError."""
        active, states = self._active or self._initial_load(), self._team_states or self.refresh_team_states()
        started = time.perf_counter()
        home, away = states.locate(batch)
        known = (home >= 0) & (away >= 0)
        home, away = home[known], away[known]
        neutral = batch.neutral[known]
        home_states, away_states, odds = states.values[home], states.values[away], None
        as_of = np.full(len(known), active.trained_through_np)
        as_of[known] = np.fmax(states.as_of[home], states.as_of[away])
        # If the country has no result yet, `as_of` is the end of the training data.
        as_of[np.isnat(as_of)] = active.trained_through_np
        if active.uses_odds:
            odds, odds_known_at = self._odds.lookup(batch)
            odds, as_of = odds[known], np.fmax(as_of, odds_known_at)
        features_ready = time.perf_counter()
        p = np.zeros((len(known), len(OUTCOMES)))
        p[known] = probabilities(active.model, home_states, away_states, neutral, odds)
        finished = time.perf_counter()
        as_of = as_of.astype("datetime64[s]")
        errors = _leakage_errors(active, batch, as_of)
        errors |= {match: to_wire(states.missing_error(batch, match)) for match in np.flatnonzero(~known).tolist()}
        return Prediction(
            _to_columns(active, p, as_of, errors), active.version, features_ready - started, finished - features_ready
        )

    def refresh_model(self) -> bool:
        """Load the production version if it has changed; True if it was replaced.

        Raises ModelUnavailableError if that fails; the loaded version then stays in use.
        """
        with self._load_lock:
            return self._load()

    def refresh_team_states(self) -> TeamStates:
        """Read the partitions that have changed. The last good states of an unreadable partition stay in use."""
        changed, errors = False, []
        for part in sorted({*self._lake.partitions("team_states"), *self._tables}):
            try:
                changed |= self._read(part)
            except (NotPublishedError, CorruptArtefactError) as error:
                errors.append(error)
        self.team_states_error = str(errors[0]) if errors else None
        if changed:
            self._team_states = TeamStates.from_table(pd.concat([table for _, table in self._tables.values()]))
        if self._team_states is None:
            raise errors[0] if errors else NotPublishedError("no club has a rating yet; run the pipeline first")
        if self._active is not None and self._active.uses_odds:
            self._odds.refresh()
        return self._team_states

    def _read(self, part: str) -> bool:
        fingerprint, (known_fingerprint, _) = (
            self._lake.table_fingerprint("team_states", part),
            self._tables.get(part, (None, None)),
        )
        if fingerprint is not None and fingerprint == known_fingerprint:
            return False
        table = self._lake.read_table("team_states", part, schema=STATES)
        if not np.isfinite(table[list(STATE_COLUMNS)].to_numpy()).all():
            raise CorruptArtefactError(f"team_states/{part} has values that are not finite")
        self._tables[part] = fingerprint, table
        return True

    def _initial_load(self) -> ActiveModel:
        """The model, once it is loaded. If this request stops waiting, loading continues in its thread."""
        if self._clock() - self._failed_at >= RETRY_AFTER_SECONDS:
            if self._first_load_thread is None or not self._first_load_thread.is_alive():
                self._first_load_thread = threading.Thread(target=self._try_refresh, name="first-load", daemon=True)
                self._first_load_started = time.monotonic()
                self._first_load_thread.start()
            waited = time.monotonic() - self._first_load_started
            self._first_load_thread.join(max(0.0, FIRST_LOAD_TIMEOUT_SECONDS - waited))
        if self._active is None:
            raise ModelUnavailableError(self.model_error or "the model registry has not answered yet")
        return self._active

    def _try_refresh(self) -> None:
        with contextlib.suppress(ModelUnavailableError):  # `model_error` has the reason
            self.refresh_model()

    def _load(self) -> bool:
        try:
            version, notice = version_to_serve(self._registry, self._lake, self._require_decision)
        except Exception as error:
            raise self._failure(error) from error
        try:
            if version is None:
                raise ModelUnavailableError(f"no version of {MODEL_NAME} is in {PRODUCTION} yet")
            if self._active is not None and self._active.version == version.version:
                if self._active.model.version.tags != version.tags:  # such as a provisional version that is confirmed
                    self._active = replace(self._active, model=replace(self._active.model, version=version))
                self.model_error = notice
                return False
            active = _smoke_test(self._registry.load(version))
        except Exception as error:
            if self._active is None:
                self._active = self._load_substitute()
            raise self._failure(error) from error
        self._active, self.model_error = active, notice
        self._reload_counts["success"] += 1
        return True

    def _failure(self, error: Exception) -> ModelUnavailableError:
        """Record a failed load; returns the error to raise, which says what is used meanwhile."""
        reason = str(error) if isinstance(error, TouchlineError) else f"the version cannot be used: {error!r}"
        self.model_error = reason if self._active is None else f"{reason}; version {self._active.version} is used"
        self._failed_at = self._clock()
        self._reload_counts["failure"] += 1
        return ModelUnavailableError(self.model_error)

    def _load_substitute(self) -> ActiveModel | None:
        """The last good version before the one in production, which a process that has just started cannot load.

        Processes that loaded it earlier still use it.
        """
        try:
            restorable = restorable_versions(self._registry, history(self._lake))
        except TouchlineError:
            return None
        for version in restorable[:MAX_SUBSTITUTES]:
            with contextlib.suppress(Exception):  # it is as unusable as the one in production
                return _smoke_test(self._registry.load(version))
        return None

    def pop_reload_counts(self) -> dict[str, int]:
        """Attempts to load a version since the last call, by result."""
        counts, self._reload_counts = self._reload_counts, Counter()
        return dict(counts)


def _smoke_test(model: LoadedModel) -> ActiveModel:
    """Try out a version with a prediction; raises ModelUnavailableError if it must not be used."""
    active = ActiveModel(model, datetime.now(UTC))
    summary = f"version {active.version} cannot be used"
    _ = active.trained_through  # a version without it cannot tell which matches it may forecast
    if unknown := sorted(set(model.features) - set(FEATURES)):
        raise ModelUnavailableError(f"{summary}: it requires unknown features {unknown}")
    states = np.zeros((2, len(STATE_COLUMNS)))
    p = probabilities(model, states, states, np.array([False, True]))
    if p.shape != (2, len(OUTCOMES)) or not np.allclose(p.sum(axis=1), 1) or (p < 0).any():
        raise ModelUnavailableError(f"{summary}: it returned {p.tolist()} instead of three probabilities per match")
    return active


def _leakage_errors(
    active: ActiveModel, batch: FixtureBatch, as_of: NDArray[np.datetime64]
) -> dict[int, dict[str, Any]]:
    """The error, by index, of each match whose forecast would use information from after its kick-off."""
    kick_offs = batch.kick_off
    return {
        match: to_wire(
            LeakageError(
                f"kick_off {kick_offs[match].astype('datetime64[s]')}Z is not after the last known result "
                f"({as_of[match]}Z) and the end of the training data ({to_iso_utc(active.trained_through)})"
            )
        )
        for match in np.flatnonzero(kick_offs <= np.maximum(as_of, active.trained_through_np)).tolist()
    }


def _to_columns(
    active: ActiveModel, p: NDArray[np.float64], as_of: NDArray[np.datetime64], errors: Mapping[int, dict[str, Any]]
) -> ForecastBatch:
    variant_index, variants = pd.factorize(as_of.view(np.int64) * len(OUTCOMES) + p.argmax(axis=1))
    timestamps = (variants // len(OUTCOMES)).view("datetime64[s]")
    outcomes = [OUTCOMES[outcome] for outcome in variants % len(OUTCOMES)]
    return {
        "model": active.reference,
        "probabilities": orjson.dumps(p.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode(),
        "variants": [(outcome, f"{timestamp}Z") for outcome, timestamp in zip(outcomes, timestamps, strict=True)],
        "variant_index": variant_index.tolist(),
        "errors": sorted(errors.items()),
    }
