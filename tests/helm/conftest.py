"""Renders the chart with a real helm: from PATH, or where `make test-chart` puts one."""

from __future__ import annotations

import copy
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from tests.support.chart import EXTERNAL, PROFILES, ROOT, Chart, Thing
from tests.support.cluster_api import ClusterApi, cluster_api
from tests.support.migrations import SERVER


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


@pytest.fixture
def cluster(chart: Chart, tmp_path: Path) -> Iterator[ClusterApi]:
    """A cluster that helm can look into."""
    with cluster_api(chart, tmp_path) as cluster:
        yield cluster


@pytest.fixture
def postgres(require: Callable[[object, str], None]) -> Iterator[extensions.connection]:
    """A connection of the superuser."""
    try:
        made = psycopg2.connect(**SERVER)
    except psycopg2.OperationalError:
        made = None
    require(made, "no PostgreSQL on 127.0.0.1:5432 that trusts the user postgres")
    assert made is not None
    require(shutil.which("psql"), "no psql (Debian: apt install postgresql-client)")
    made.autocommit = True
    yield made
    made.close()


@pytest.fixture
def databases(postgres: extensions.connection) -> Iterator[dict[str, str]]:
    """An empty database for each of PostgreSQL's clients."""
    names = {use: f"touchline-{uuid.uuid4().hex[:8]}-{use}" for use in ("mlflow", "dagster")}
    with postgres.cursor() as cursor:
        for name in names.values():
            cursor.execute(f'CREATE DATABASE "{name}"')
        yield names
        for name in names.values():
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
