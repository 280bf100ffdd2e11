"""Forecasts now: the production model and the clubs' states in memory, followed as they change.

Knows neither HTTP nor the broker. The model is loaded on first need and once per process; `follow` keeps up with the
`production` alias: load the new version, swap, drop the old. While the registry is away, the loaded one goes on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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
from features.io.registry import MODEL_NAME, PRODUCTION, LoadedModel, ModelVersion
from features.io.store import Fingerprint, Lake
from features.matches import OUTCOMES
from features.matrix import FEATURES
from features.rating_history import STATE_COLUMNS, STATES
from serving.errors import to_task
from serving.wire.columns import Forecasts, Slate, iso
from serving.worker.odds import Market
from serving.worker.team_states import States

_RETRY_SECONDS = 2.0
"""After a failed load, callers are told so for this long before the registry is asked again."""
_LOAD_PATIENCE = 10.0
"""Seconds a caller is kept waiting for the first load: a registry that hangs must not use up the caller's own."""


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
        return {"name": name, "version": self.version, "trained_through": iso(self.trained_through)}


@dataclass(frozen=True)
class Prediction:
    """Answers to a slate, the version behind all of them, and where the time went."""

    forecasts: Forecasts
    version: int
    features_seconds: float
    model_seconds: float


class Models(Protocol):
    """What the predictor asks of the model registry: `features.io.registry.Registry` is one."""

    def by_alias(self, alias: str, /) -> ModelVersion | None: ...

    def load(self, version: ModelVersion, /) -> LoadedModel: ...


class Predictor:
    """One per worker process."""

    def __init__(self, registry: Models, lake: Lake) -> None:
        self._registry = registry
        self._lake = lake
        self._serving: Serving | None = None
        self._states: States | None = None
        self._market = Market(lake)
        self._tables: dict[str, tuple[Fingerprint | None, pd.DataFrame]] = {}
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

    def predict(self, slate: Slate) -> Prediction:
        """Forecast matches by one model call; raises ModelUnavailableError or NotPublishedError if it cannot."""
        serving, states = self._serving or self._first_load(), self._states or self.refresh_states()
        started = time.perf_counter()
        home, away = states.find(slate)
        known = (home >= 0) & (away >= 0)
        home, away = home[known], away[known]
        nobodys = slate.neutral[known]
        before, after, told = states.values[home], states.values[away], None
        as_of = np.full(len(known), serving.learnt_until)
        as_of[known] = np.fmax(states.as_of[home], states.as_of[away])
        # no result of the country yet: what the model learnt is all that the forecast knows
        as_of[np.isnat(as_of)] = serving.learnt_until
        if serving.uses_odds:
            told, known_at = self._market.of(slate)
            told, as_of = told[known], np.fmax(as_of, known_at)
        called = time.perf_counter()
        p = np.zeros((len(known), len(OUTCOMES)))
        p[known] = probabilities(serving.model, before, after, nobodys, told)
        answered = time.perf_counter()
        as_of = as_of.astype("datetime64[s]")
        errors = _too_late(serving, slate, as_of)
        errors |= {match: to_task(states.missing(slate, match)) for match in np.flatnonzero(~known).tolist()}
        return Prediction(_forecasts(serving, p, as_of, errors), serving.version, called - started, answered - called)

    def follow(self) -> bool:
        """Look at the alias and swap if it moved; True if it did. On ModelUnavailableError the old one stays."""
        with self._loading:
            return self._load()

    def refresh_states(self) -> States:
        """Read the clubs' states that were published anew; of what is missing or unreadable the last good ones stay."""
        changed, problems = False, []
        published = self._lake.partitions("team_states")
        for part in sorted({*published, *self._tables}):
            try:
                changed |= self._read(part)
            except (NotPublishedError, CorruptArtefactError) as error:
                problems.append(error)
        self.states_error = str(problems[0]) if problems else None
        if changed:
            self._states = States.read(pd.concat([table for _, table in self._tables.values()]))
        if self._states is None:
            raise problems[0] if problems else NotPublishedError("no club has a state yet; run the pipeline first")
        if self._serving is not None and self._serving.uses_odds:
            self._market.refresh()
        return self._states

    def _read(self, part: str) -> bool:
        stamp, (known, _) = self._lake.table_fingerprint("team_states", part), self._tables.get(part, (None, None))
        if stamp is not None and stamp == known:
            return False
        table = self._lake.read_table("team_states", part, schema=STATES)
        if not np.isfinite(table[list(STATE_COLUMNS)].to_numpy()).all():
            raise CorruptArtefactError(f"team_states/{part} has states that are not finite")
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
            raise ModelUnavailableError(self.model_error or "the model registry has not answered yet")
        return self._serving

    def _try_to_follow(self) -> None:
        with contextlib.suppress(ModelUnavailableError):  # callers find the reason in `error`
            self.follow()

    def _load(self) -> bool:
        try:
            found = self._registry.by_alias(PRODUCTION)
            if found is None:
                if self._serving is not None:
                    return False
                raise ModelUnavailableError(f"no version of {MODEL_NAME} is in {PRODUCTION} yet")
            if self._serving is not None and self._serving.version == found.version:
                self.model_error = None
                return False
            serving = _proven(self._registry.load(found))
        except Exception as error:
            explained = isinstance(error, TouchlineError)
            self.model_error = str(error) if explained else f"version cannot be used: {error!r}"
            self._failed_at = time.monotonic()
            self._swaps["failure"] += 1
            raise ModelUnavailableError(self.model_error) from error
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
        raise ModelUnavailableError(f"{named}: its tag trained_through is no moment with a time zone")
    if unknown := sorted(set(model.features) - set(FEATURES)):
        raise ModelUnavailableError(f"{named}: it wants the features {unknown}, which nobody computes")
    clubs = np.zeros((2, len(STATE_COLUMNS)))
    p = probabilities(model, clubs, clubs, np.array([False, True]))
    if p.shape != (2, len(OUTCOMES)) or not np.allclose(p.sum(axis=1), 1) or (p < 0).any():
        raise ModelUnavailableError(f"{named}: it gave {p.tolist()} in place of three probabilities a match")
    return serving


def _too_late(serving: Serving, slate: Slate, as_of: NDArray[np.datetime64]) -> dict[int, dict[str, Any]]:
    """The error, as tasks store it, of each match that kicks off before what its forecast would know, by its place."""
    begins = slate.kick_off
    return {
        match: to_task(
            LeakageError(
                f"kick_off {begins[match].astype('datetime64[s]')}Z is not after the last result that is known "
                f"({as_of[match]}Z) and the model's training ({iso(serving.trained_through)}): refused"
            )
        )
        for match in np.flatnonzero(begins <= np.maximum(as_of, serving.learnt_until)).tolist()
    }


def _forecasts(
    serving: Serving, p: NDArray[np.float64], as_of: NDArray[np.datetime64], errors: Mapping[int, dict[str, Any]]
) -> Forecasts:
    kind, kinds = pd.factorize(as_of.view(np.int64) * len(OUTCOMES) + p.argmax(axis=1))
    moments = (kinds // len(OUTCOMES)).view("datetime64[s]")
    return {
        "model": serving.reference,
        "probabilities": orjson.dumps(p.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode(),
        "kinds": [(OUTCOMES[one], f"{moment}Z") for one, moment in zip(kinds % len(OUTCOMES), moments, strict=True)],
        "kind": kind.tolist(),
        "errors": sorted(errors.items()),
    }
