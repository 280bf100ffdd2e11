"""Select boxes for a competition and a club; both keep the choice in the page address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import streamlit as st

from ui.markdown_text import as_text
from ui.resources import api

Width = int | Literal["stretch"]


Choices = Iterable[str] | Callable[[], Iterable[str]] | None


def report_unknown_choices(options: Mapping[str, Choices]) -> None:
    """Say which choices of the page address are ignored: Streamlit shows its defaults instead, without a word.

    `options` maps each name that the page reads from its address to the known values, or to a function that asks the
    API for them, which is called only if the address has the name. None accepts any value.
    """
    unknown = [
        f"`{as_text(name)}={as_text(value)}`"
        for name, value in st.query_params.items()
        if name not in options or not _is_known(value, options[name])
    ]
    if unknown:
        st.warning(f"The page address asks for what is unknown here, so it is ignored: {', '.join(unknown)}.")


def _is_known(value: str, choices: Choices) -> bool:
    if choices is None or not value:
        return True
    return value in (choices() if callable(choices) else choices)


def competition_choices() -> list[str]:
    """Return the slugs and names of all competitions: either may be in a page address."""
    items = api().competitions().items
    return [text for item in items for text in (item.competition, item.name)]


def club_choices() -> list[str]:
    """Return the names of the clubs of all competitions."""
    return [team.name for team in api().teams().items]


def select_competition(allow_all: bool = False, width: Width = "stretch") -> str | None:
    """Return the slug of the selected competition; None for all competitions, or if there are none yet."""
    names = {competition.competition: competition.name for competition in api().competitions().items}
    return st.selectbox(
        "Competition",
        list(names),
        index=None if allow_all or not names else 0,
        format_func=lambda slug: names.get(slug, slug),
        placeholder="All competitions",
        width=width,
        key="competition" if allow_all else "league",  # "all" on one page must not clear the choice on another
        bind="query-params",
    )


def select_club(
    key: str,
    competition: str | None,
    label: str = "Club",
    placeholder: str = "All clubs",
    width: Width = "stretch",
) -> str | None:
    """Return the selected club of a competition (of any competition if that is None); None if there is no choice."""
    names = sorted({team.name for team in api().teams().items if competition in (None, team.competition)})
    return st.selectbox(label, names, index=None, placeholder=placeholder, key=key, bind="query-params", width=width)
