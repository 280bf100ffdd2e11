"""`touchline inspect` evaluates the checks without Great Expectations, with the same results as the pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitoring.checks.suites import Suite
from tests.support.evaluations import validate
from tests.support.sound_tables import AS_OF, SOUND

pytestmark = pytest.mark.medium


@pytest.mark.parametrize("suite", Suite)
def test_both_evaluations_agree_on_empty_tables(suite: Suite) -> None:
    """The results are the same: passed, number of failed rows, what was observed, and the examples."""
    validate(suite, SOUND[suite]().iloc[:0], AS_OF)


@pytest.mark.parametrize("suite", [Suite.RESULTS, Suite.FIXTURES])
@pytest.mark.parametrize("seed", range(3))
def test_both_evaluations_agree_on_fuzzed_tables(suite: Suite, seed: int) -> None:
    """Cells of many columns at once are missing, infinite, negative, huge, doubled or of another row."""
    rng = np.random.default_rng(seed)
    table = SOUND[suite]().reset_index(drop=True)
    table = table.iloc[rng.integers(0, len(table), 80)].reset_index(drop=True)
    for column in rng.permutation(table.columns)[:12]:
        cells = np.flatnonzero(rng.random(len(table)) < 0.1)
        if pd.api.types.is_float_dtype(table[column]):
            table.loc[cells, column] = rng.choice([np.nan, np.inf, -1.0, 0.0, 25.0, 1e6], len(cells))
        else:
            table.loc[cells, column] = table[column].iloc[rng.integers(0, len(table), len(cells))].array
    validate(suite, table, AS_OF)


def test_the_evaluation_loads_no_heavy_library(repository: Path) -> None:
    """A person waits for `touchline inspect`: each of these libraries costs seconds."""
    heavy = {"great_expectations", "dagster", "sklearn", "scipy", "numba", "mlflow"}
    code = f"import sys, monitoring.checks.evaluation; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
