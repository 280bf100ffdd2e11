"""Formats of competitions that a user has entered as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from features.competitions import is_slug
from features.errors import InvalidInputError
from features.table_rules import (
    Group,
    LeagueRules,
    Split,
    TableZone,
    Tiebreaker,
    ZoneKind,
    promotion,
    relegation,
    title,
)

Count = Annotated[int, Field(ge=0, le=30)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupFormat(_Strict):
    """Clubs that play on among themselves after a split."""

    clubs: Annotated[int, Field(ge=1, le=40)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    counts: bool = True


class SplitFormat(_Strict):
    """After how many matches of each club a season splits, and into which groups from the top."""

    after: Annotated[int, Field(ge=1, le=80)]
    groups: Annotated[tuple[GroupFormat, ...], Field(min_length=2)]
    total: Annotated[int, Field(ge=1, le=100)] | None = None

    def split(self) -> Split:
        """Return the split as the rules of a table have it."""
        groups = tuple(Group(group.clubs, group.share, group.counts) for group in self.groups)
        return Split(self.after, groups, self.total)


class CompetitionFormat(_Strict):
    """Format of one competition.

    Attributes
    ----------
    meetings : how often each pair meets at each ground; None if that is not fixed.
    top : places that lead to other competitions, from the first.
    up, up_play_off : clubs that are promoted, and the next ones that enter a promotion play-off.
    down, down_play_off : clubs that are relegated, and those above them that enter a relegation play-off.
    ties : criteria for clubs level on points, in order.
    points_for_win : points of the winner.
    """

    meetings: Annotated[int, Field(ge=1, le=4)] | None = None
    top: Count = 0
    up: Count = 0
    up_play_off: Count = 0
    down: Count = 0
    down_play_off: Count = 0
    ties: tuple[Tiebreaker, ...] = (Tiebreaker.DIFFERENCE, Tiebreaker.GOALS)
    points_for_win: Annotated[int, Field(ge=1, le=5)] = 3
    split: SplitFormat | None = None

    @model_validator(mode="after")
    def _one_way_to_play(self) -> CompetitionFormat:
        if self.split is not None and self.meetings is not None:
            raise ValueError("give `meetings` or `split`, not both: a split says how many matches each club plays")
        return self

    def rules(self) -> LeagueRules:
        """Return the rules of the table."""
        top = (TableZone("Top", ZoneKind.EUROPE_OR_TOP, 1, self.top),) if self.top else ()
        up = promotion(self.up, self.up + self.up_play_off)
        down = relegation(self.down, self.down_play_off)
        split = None if self.split is None else self.split.split()
        return LeagueRules(
            (title(), *top, *up, *down), self.ties, self.meetings, split, points_for_win=self.points_for_win
        )


def load_formats(setting: str | None) -> dict[str, LeagueRules]:
    """Read formats by slug, from JSON or from the path of a JSON file.

    Raises
    ------
    InvalidInputError
        If the text is no JSON, or a value cannot be used; the message names the competition and the field.
    """
    if setting is None or not setting.strip():
        return {}
    inline = setting.lstrip().startswith("{")
    where = "TOUCHLINE_FORMATS" if inline else f"the formats {setting}"
    document = _document(setting if inline else _text(Path(setting)), where)
    if wrong := [slug for slug in document if not is_slug(slug)]:
        raise InvalidInputError(f"{where}: competition {wrong[0]!r} is not a slug such as eng-championship")
    try:
        formats = TypeAdapter(dict[str, CompetitionFormat]).validate_python(document)
    except ValidationError as error:
        sentences = [
            f"{'.'.join(map(str, detail['loc']))}={detail['input']!r}: {detail['msg']}" for detail in error.errors()
        ]
        raise InvalidInputError(f"{where}: {'; '.join(sentences[:10])}") from None
    return {slug: entered.rules() for slug, entered in formats.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"the formats {path} cannot be read: {error}") from error


def _document(text: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInputError(f"{where} is not a JSON object of formats by competition")
    return document
