"""Choosing a competition or a club: the same control on every page, kept in the address."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from ui.resources import api


def competition(any_of_them: bool = False, width: int | Literal["stretch"] = "stretch") -> str | None:
    """Slug of a competition; None for all of them, or when there are none yet."""
    names = {one.competition: one.name for one in api().competitions().items}
    return st.selectbox(
        "Competition",
        list(names),
        index=None if any_of_them or not names else 0,
        format_func=lambda slug: names.get(slug, slug),
        placeholder="All",
        width=width,
        key="competition" if any_of_them else "league",  # "all of them" here must not become "none" on another page
        bind="query-params",
    )


def club(
    placeholder: str,
    key: str,
    competition: str | None,
    label: str = "Club",
    width: int | Literal["stretch"] = "stretch",
) -> str | None:
    """Name of a club of a competition (of any, when that is None); None while nothing is chosen."""
    names = sorted({team.name for team in api().teams().items if competition in (None, team.competition)})
    return st.selectbox(label, names, index=None, placeholder=placeholder, key=key, bind="query-params", width=width)
