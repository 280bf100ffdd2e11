"""Every column of the lake has one meaning, which Dagster, the API and the lake's README give in the same words."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from features.data_dictionary import COLUMNS, describe_column
from features.forecasts import PUBLISHED
from features.matches import SCHEMA as MATCHES
from features.matrix import FEATURES
from features.rating_history import STATES
from features.season_simulation import COLUMNS as SEASON_TABLE
from features.season_simulation import MADE_FROM
from monitoring.settlement import SCHEMA as SETTLED
from orchestration.steps.rendering import of_table
from serving.api.schemas.forecasts import Forecast, ModelReference, Probabilities, PublishedForecast, Settlement
from serving.api.schemas.matches import Match, MatchForecast
from tests.support.service_harness import World

TABLES = [*MATCHES.names, *PUBLISHED.names, *SETTLED.names, *STATES.names, *FEATURES, *SEASON_TABLE, *MADE_FROM.names]
README = Path("features/io/README.md")


@pytest.mark.parametrize("name", sorted({*TABLES, "position_12", "home_elo", "complete", "places", "caveats"}))
def test_every_column_of_the_lake_has_a_meaning(name: str) -> None:
    assert describe_column(name)
    assert describe_column(f"another_{name}") is None


def test_dagster_shows_the_meaning_of_each_column() -> None:
    metadata = of_table(pd.DataFrame({"rps": [0.2], "position_1": [0.5], "unknown": [1]}))
    described = {column.name: column.description for column in metadata["dagster/column_schema"].columns}
    assert described == {
        "rps": COLUMNS["rps"],
        "position_1": "Probability of finishing in position 1.",
        "unknown": None,
    }


def test_a_table_reports_the_rows_of_its_partition() -> None:
    """Dagster shows `dagster/row_count` of the newest partition as that of the asset: an empty week that lies ahead."""
    metadata = of_table(pd.DataFrame({"rps": [0.2, 0.3]}))
    assert metadata["dagster/partition_row_count"] == 2
    assert "dagster/row_count" not in metadata


@pytest.mark.parametrize(
    "schema", [Forecast, PublishedForecast, Match, MatchForecast, ModelReference, Probabilities, Settlement]
)
def test_the_api_describes_columns_in_the_same_words(schema: type) -> None:
    """An outcome is a word there and a number in the lake, so only its text differs."""
    fields = schema.model_fields.items()  # type: ignore[attr-defined]
    described = {name: field.description for name, field in fields if name in COLUMNS and name != "outcome"}
    assert described
    assert described == {name: COLUMNS[name] for name in described}


def test_the_readme_of_the_lake_has_the_same_texts(repository: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (repository / README).read_text().partition("## Columns")[2], re.M)
    assert dict(rows) == dict(COLUMNS)


def test_the_example_for_analysts_reads_all_scored_forecasts(
    repository: Path, master: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = re.findall(r"```python\n(.+?)```", (repository / README).read_text(), re.DOTALL)[0]
    (tmp_path / ".touchline").mkdir()
    (tmp_path / ".touchline" / "lake").symlink_to(master.lake_root)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    exported = pd.read_csv("forecasts.csv")
    weeks = (master.lake.read_table("settled_forecasts", week) for week in master.lake.partitions("settled_forecasts"))
    assert len(exported) == sum(map(len, weeks)) > 30
    assert {"match_id", "home", "draw", "away", "published_at", "outcome", "rps", "log_loss"} <= set(exported)
