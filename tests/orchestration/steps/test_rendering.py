"""What is drawn and written for the Dagster UI."""

from __future__ import annotations

import base64
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from scipy.stats import binomtest

from orchestration.steps import rendering
from orchestration.steps.rendering import reliability_figure, reliability_plot
from orchestration.steps.training import reliability


@pytest.fixture
def few_and_many() -> tuple[np.ndarray, np.ndarray]:
    """400 matches of an open league; 12 with a favourite that never lost."""
    p = np.vstack([np.tile([0.45, 0.25, 0.30], (400, 1)), np.tile([0.93, 0.05, 0.02], (12, 1))])
    return p, np.concatenate([np.arange(400) % 3, np.zeros(12, int)])


def test_calibration_plot_shows_the_interval_of_every_bin(few_and_many) -> None:
    p, y = few_and_many
    axes = reliability_figure(reliability(p, y)).axes[0]
    (bars,) = (collection for collection in axes.collections if isinstance(collection, LineCollection))
    drawn = {round(float(bar[0, 0]), 6): (float(bar[0, 1]), float(bar[1, 1])) for bar in bars.get_segments()}
    happened = np.eye(3)[y]
    for forecast in (0.45, 0.93, 0.3):
        hits, n = int(happened[p == forecast].sum()), int((p == forecast).sum())
        wilson = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert drawn[forecast] == pytest.approx((wilson.low, wilson.high), abs=1e-6)
    lengths = {forecast: high - low for forecast, (low, high) in drawn.items()}
    assert lengths[0.93] > 2 * lengths[0.45], "twelve matches give a wider interval than four hundred"


def test_the_calibration_plot_is_a_picture_inside_its_text(few_and_many) -> None:
    picture = reliability_plot(reliability(*few_and_many)).value.partition("base64,")[2].rstrip(")")
    assert base64.b64decode(picture).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://evil.example/x.png)",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "www.evil.example me@evil.example",
        "a | b\n| --- | --- |",
        "$x$ `code` *loud*",
    ],
)
def test_texts_of_data_are_text_in_dagster(text: str) -> None:
    """Neither a link, an image nor HTML, in a table of one line per row."""
    table = rendering.markdown(pd.DataFrame({"team": [text]}))
    assert len(table.splitlines()) == 3
    assert not re.search(r"(?<!\\)[\[<`*$]|://|javascript:|www\.|me@e", table)
    assert re.sub(r"\\(.)", r"\1", rendering.as_text(text)).replace("\u2060", "") == " ".join(text.split())
