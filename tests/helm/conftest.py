"""Renders the chart with a real helm: from PATH, or where `make test-chart` puts one."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable

import pytest

from tests.support.chart import EXTERNAL, PROFILES, ROOT, Chart, Thing


@pytest.fixture(scope="session")
def chart(require: Callable[[object, str], None]) -> Chart:
    """The chart with its helm."""
    fetched = ROOT / ".touchline" / "tools" / "helm"
    helm = shutil.which("helm") or (str(fetched) if fetched.exists() else None)
    require(helm, "no helm on PATH; `make test-chart` fetches one")
    assert helm is not None
    return Chart(helm)


@pytest.fixture(params=[*PROFILES, "everything external"], scope="session")
def objects(request: pytest.FixtureRequest, chart: Chart) -> list[Thing]:
    """Objects of one way to install the chart, with the hooks of an upgrade."""
    if request.param in PROFILES:
        return chart.render(request.param, upgrade=True)
    return chart.render("values.yaml", upgrade=True, values=EXTERNAL)


@pytest.fixture
def plain(chart: Chart) -> list[Thing]:
    """The default objects, to be spoiled by a test."""
    return copy.deepcopy(chart.render(upgrade=True))
