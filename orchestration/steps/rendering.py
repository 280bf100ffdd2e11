"""What a person sees of an artefact in the Dagster UI."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def of_table(frame: pd.DataFrame, sample: pd.DataFrame | None = None) -> dict[str, Any]:
    """Row count, columns with types and a few rows."""
    shown = frame.tail(5) if sample is None else sample
    return {
        "dagster/row_count": len(frame),
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(str(name), str(dtype)) for name, dtype in frame.dtypes.items()]
        ),
        "sample": dg.MetadataValue.md(markdown(shown)),
    }


def markdown(frame: pd.DataFrame) -> str:
    """A small frame as a markdown table; numbers with four digits, moments to the minute."""
    if frame.empty:
        return "*no rows*"
    header = [str(name) for name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def _cell(value: Any) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M")
    return f"{value:.4f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def scores_table(scores: Mapping[str, Mapping[str, float]]) -> dg.MarkdownMetadataValue:
    """Scores of several forecasters on the same matches, one row each."""
    rows = [{"forecaster": name, **values} for name, values in scores.items()]
    return dg.MetadataValue.md(markdown(pd.DataFrame(rows)))


def reliability_plot(bins: Sequence[Mapping[str, float]]) -> dg.MarkdownMetadataValue:
    """Forecast against observed frequency, inside the markdown itself so that it needs no file server."""
    image = io.BytesIO()
    reliability_figure(bins).savefig(image, format="png", dpi=80)
    return dg.MetadataValue.md(
        f"![forecast against observed](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})"
    )


def reliability_figure(bins: Sequence[Mapping[str, float]]) -> Figure:
    """A dot for every bin of a `monitoring.calibration.reliability_curve`, with the interval that its n allows."""
    # matplotlib takes a second to import; most steps draw nothing.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1)
    forecast = [one["forecast"] for one in bins]
    # Lines and no error bars: those refuse a lower end that rounding puts above an observed frequency of 0.
    axes.vlines(forecast, [one["low"] for one in bins], [one["high"] for one in bins], linewidth=1)
    axes.scatter(forecast, [one["observed"] for one in bins], s=[10 + one["n"] / 8 for one in bins], alpha=0.8)
    axes.set(xlabel="forecast probability", ylabel="observed frequency", xlim=(0, 1), ylim=(0, 1))
    return figure
