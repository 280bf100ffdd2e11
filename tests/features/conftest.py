"""The bundled matches, loaded once."""

import pandas as pd
import pytest

from features.io.sources import bundled


@pytest.fixture(scope="session")
def premier_league() -> pd.DataFrame:
    """All bundled matches; tests copy before they change anything."""
    return bundled.load()
