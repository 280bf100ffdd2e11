"""Finds the recipes that are installed: built in, entry points of `touchline.recipes`, and those of a setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from features.errors import InvalidInputError
from features.teams import suggest

if TYPE_CHECKING:
    from features.recipes import Recipe

GROUP = "touchline.recipes"
"""Entry-point group of recipes."""

REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""Form of a reference, which `features.io.settings` checks: `package.module:factory`."""


class InstalledRecipes:
    """Recipes by name; a recipe's code is imported when it is used, not before.

    Parameters
    ----------
    references : `package.module:factory` each; the name of such a recipe is that of its factory. What is named is a
        `features.recipes.Recipe`, or a function without arguments that returns one.
    """

    def __init__(self, references: Iterable[str] = ()) -> None:
        self._references = tuple(references)

    def names(self) -> list[str]:
        """List the names of all recipes."""
        return sorted({name for name, _ in self._sources()})

    def get(self, name: str) -> Recipe:
        """Return a recipe.

        Raises
        ------
        InvalidInputError
            If no recipe or more than one has this name, or if its code cannot be imported or is no recipe.
        """
        loaders = [load for known, load in self._sources() if known == name]
        if len(loaders) > 1:
            raise InvalidInputError(f"{len(loaders)} recipes are named {name!r}; give one another name")
        if not loaders:
            nearest = suggest(name, set(self.names()))
            hint = f"; did you mean {' or '.join(nearest)}?" if nearest else f"; known: {', '.join(self.names())}"
            raise InvalidInputError(f"recipe {name!r} is not installed{hint}")
        return _as_recipe(name, loaders[0])

    def _sources(self) -> list[tuple[str, Callable[[], Any]]]:
        from features.recipes import BUILT_IN  # imported here: it loads scikit-learn

        return [
            *((name, partial(BUILT_IN.__getitem__, name)) for name in BUILT_IN),
            *((entry.name, entry.load) for entry in metadata.entry_points(group=GROUP)),
            *((reference.rpartition(":")[2], partial(resolve_name, reference)) for reference in self._references),
        ]


def _as_recipe(name: str, load: Callable[[], Any]) -> Recipe:
    from features.recipes import Recipe

    try:
        named = load()
        recipe = named if isinstance(named, Recipe) else named()
    except Exception as error:  # whatever the engineer's code raises
        raise InvalidInputError(f"recipe {name!r} cannot be used: {error!r}"[:300]) from error
    if not isinstance(recipe, Recipe):
        raise InvalidInputError(f"recipe {name!r} is a {type(recipe).__qualname__}, not a features.recipes.Recipe")
    return recipe
