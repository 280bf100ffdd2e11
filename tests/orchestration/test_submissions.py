"""From a notebook to a candidate in the gate: the example of the package, and a submission that is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sklearn.linear_model import LogisticRegression

from features.io import submissions
from features.io.registry import STAGING, Registry
from orchestration.definitions import build
from orchestration.sensors import submission_sensor
from tests.support.installation import Installation, copy_of

pytestmark = pytest.mark.timeout(900)  # the first test sets up a whole installation

EXAMPLE = "features/examples/from_matches_to_candidate.ipynb"


@pytest.fixture(scope="module")
def home(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return copy_of(installed, tmp_path_factory.mktemp("submissions") / "home")


def tick(home: Installation) -> list[Any]:
    with home.instance() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"lake": home.lake})
        requests: Any = submission_sensor(context)
        return list(requests)


def launch(home: Installation, job: str, request: dg.RunRequest | None = None) -> bool:
    """Run a job, as Dagster does for the request of a sensor; return whether it succeeded."""
    definition = build(home.settings).resolve_job_def(job)
    config = {} if request is None else request.run_config
    tags = {} if request is None else {**request.tags, "dagster/sensor_name": "submission_sensor"}
    with home.instance() as instance:
        return definition.execute_in_process(config, instance=instance, raise_on_error=False, tags=tags).success


def test_notebook_ends_with_a_candidate_in_the_gate(
    home: Installation, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cells run in order; where the last but one has submitted, the sensor's request is carried out."""
    monkeypatch.setenv("TOUCHLINE_HOME", str(home.settings.home))
    cells = json.loads((repository / EXAMPLE).read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert sum(line != "" for source in sources for line in source.splitlines()) <= 20
    assert isinstance(tick(home)[0], dg.SkipReason)
    names: dict[str, Any] = {}
    for source in sources[:-1]:
        exec(compile(source, EXAMPLE, "exec"), names)
    assert names["judged"].table["n"].min() > 1000
    (request,) = tick(home)
    assert isinstance(request, dg.RunRequest)
    assert launch(home, "train_model", request)
    exec(compile(sources[-1], EXAMPLE, "exec"), names)

    staged = home.registry.by_alias(STAGING)
    assert staged is not None
    assert staged.version == names["version"] == 2
    assert staged.tags["submitted_as"] == "three_columns"
    assert staged.tags["trained_because"] == "a logit of Elo and both goal rates"
    assert names["candidate"].outcome()["what_happened"] == "version 2 is new, and staged"
    assert isinstance(tick(home)[0], dg.SkipReason), "it is not trained again"
    # Any process loads it, without a recipe: scikit-learn's own types are enough.
    assert Registry(home.settings.mlflow_tracking_uri).load(staged).features == tuple(names["columns"])
    assert launch(home, "evaluate_candidate")
    gate = home.lake.read_json("reports/gate.json")
    assert gate["candidate"] == 2
    assert {line["name"] for line in gate["conditions"]} >= {"approved", "enough_matches"}


def test_same_estimator_again_is_the_same_version(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = home.registry.by_alias(STAGING)
    assert earlier is not None
    first = next(iter(home.lake.list("submissions"))).partition("/")[0]
    recipe = submissions.load_recipe(home.lake, submissions.read(home.lake, first))
    now = datetime(2026, 4, 1, tzinfo=UTC)
    again = submissions.write(home.lake, recipe.build(), "three_columns", recipe.columns, "once more", now)
    (request,) = tick(home)
    assert isinstance(request, dg.RunRequest)
    assert launch(home, "train_model", request)
    outcome = submissions.outcome(home.lake, again.id)
    assert outcome is not None
    assert outcome["version"] == earlier.version
    assert "has the same data and recipe" in outcome["what_happened"]


def test_refused_submission_says_why_and_is_not_tried_again(home: Installation) -> None:
    now = datetime(2026, 4, 2, tzinfo=UTC)
    estimator = LogisticRegression()
    refused = submissions.write(home.lake, estimator, "of_odds", ("log_home_odds", "log_away_odds"), "a test", now)
    (request,) = tick(home)
    assert isinstance(request, dg.RunRequest)
    assert not launch(home, "train_model", request)
    assert "needs odds" in submissions.outcome(home.lake, refused.id)["refused"]
    assert isinstance(tick(home)[0], dg.SkipReason)
