"""numba's `njit` where numba is installed, and otherwise a decorator that leaves the function as it is.

Only the replay of ratings is compiled, and only the pipeline replays: a process that serves forecasts imports the same
modules, and its image goes without the 180 MB of the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

try:
    from numba import njit
except ImportError:

    def njit(**_: Any) -> Callable[[F], F]:  # type: ignore[no-redef]
        """Run the function as plain Python."""
        return lambda function: function


__all__ = ["njit"]
