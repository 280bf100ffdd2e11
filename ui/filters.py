"""Select boxes for a competition and a club; both keep the choice in the page address."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from ui.resources import api

Width = int | Literal["stretch"]


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
