"""Dagster metadata from tables and scores: markdown tables and plots for the UI."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from features.data_dictionary import describe_column

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def of_table(frame: pd.DataFrame, sample: pd.DataFrame | None = None) -> dict[str, Any]:
    """Row count, columns with types and meanings, and a sample of rows of one partition.

    The count is that of the partition. As `dagster/row_count`, Dagster would show the count of the newest partition as
    that of the whole asset: 0, since the newest weeks lie ahead.
    """
    rows = frame.tail(5) if sample is None else sample
    return {
        "dagster/partition_row_count": len(frame),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(str(name), str(dtype), description=describe_column(str(name)))
                for name, dtype in frame.dtypes.items()
            ]
        ),
        "sample": dg.MetadataValue.md(markdown(rows)),
    }


def markdown(frame: pd.DataFrame) -> str:
    """A small frame as a markdown table: floats with four digits, times to the minute."""
    if frame.empty:
        return "*no rows*"
    header = [as_text(name) for name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def _cell(value: Any) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M")
    return f"{value:.4f}" if isinstance(value, float) else as_text(value)


_SPECIAL = re.compile(r"[\\`*_\[\]<>|$~^&]")
_LINKED = re.compile(r"(:)(?=//)|(\bwww)(?=\.)|(@)(?=\w)|(mailto|javascript)(?=:)", re.IGNORECASE)


def as_text(value: object) -> str:
    """Return Markdown that shows a text in one line, as it is: no link, image, formula or HTML.

    Addresses become links after the Markdown has been parsed, unless an invisible joiner divides them.
    """
    line = _SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split()))
    return _LINKED.sub(lambda found: found[0] + "\u2060", line)


def scores_table(scores: Mapping[str, Mapping[str, float]]) -> dg.MarkdownMetadataValue:
    """Scores of several forecasters on the same matches, one row per forecaster."""
    rows = [{"forecaster": name, **values} for name, values in scores.items()]
    return dg.MetadataValue.md(markdown(pd.DataFrame(rows)))


def reliability_plot(bins: Sequence[Mapping[str, float]]) -> dg.MarkdownMetadataValue:
    """Forecast against observed frequency, as an image inside the markdown, which needs no file server."""
    image = io.BytesIO()
    reliability_figure(bins).savefig(image, format="png", dpi=80)
    return dg.MetadataValue.md(
        f"![forecast against observed](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})"
    )


def reliability_figure(bins: Sequence[Mapping[str, float]]) -> Figure:
    """A plot of `monitoring.calibration.reliability_curve`: a dot per bin, with the interval for its sample size."""
    # matplotlib takes a second to import, and most steps draw nothing.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1)
    forecast = [row["forecast"] for row in bins]
    # `errorbar` is not used: it rejects a lower end that rounding has put above an observed frequency of 0.
    axes.vlines(forecast, [row["low"] for row in bins], [row["high"] for row in bins], linewidth=1)
    axes.scatter(forecast, [row["observed"] for row in bins], s=[10 + row["n"] / 8 for row in bins], alpha=0.8)
    axes.set(xlabel="forecast probability", ylabel="observed frequency", xlim=(0, 1), ylim=(0, 1))
    return figure
