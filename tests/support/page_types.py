"""Types of the fixtures that open a page of the viewer and read it; the fixtures are in tests/ui/conftest.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from streamlit.testing.v1 import AppTest

OpenPage: TypeAlias = Callable[..., AppTest]  # a page's name, and query parameters by keyword
PageText: TypeAlias = Callable[[AppTest], str]
