"""Cache of the fixtures that earlier requests were resolved to. The fast path uses nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from serving.wire.fixtures import Fixture

MAX_CACHED_PAIRS = 20_000
"""Maximum number of pairs in a cache; a full cache is emptied when the next pair arrives."""


class PairRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The two clubs of a request, as the client spelled them: `PredictRequest` without a kick-off."""

    home_team: str
    away_team: str
    competition: str | None = None


class ResolvedFixtureCache:
    """Fixtures by competition, home team and away team, all three as clients spelled them."""

    def __init__(self) -> None:
        self._fixtures: dict[str | None, dict[str, dict[str, Fixture]]] = {}
        self._count = 0

    def find(self, competition: str | None, home_team: str, away_team: str) -> Fixture | None:
        """Return the fixture of a pair, or None if it is not cached."""
        return self._fixtures.get(competition, {}).get(home_team, {}).get(away_team)

    def find_all(self, pairs: Sequence[PairRequest]) -> list[Fixture] | None:
        """Return the fixtures of all pairs, or None if any of them is not cached."""
        fixtures = self._fixtures
        try:  # nested dicts: a flat one would need a new tuple as key for each of a thousand pairs
            return [fixtures[pair.competition][pair.home_team][pair.away_team] for pair in pairs]
        except KeyError:
            return None

    def add(self, competition: str | None, home_team: str, away_team: str, fixture: Fixture) -> None:
        """Store the fixture of a pair that is not cached yet."""
        if self._count >= MAX_CACHED_PAIRS:
            self._fixtures, self._count = {}, 0
        self._fixtures.setdefault(competition, {}).setdefault(home_team, {})[away_team] = fixture
        self._count += 1
