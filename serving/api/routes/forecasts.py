"""All published forecasts in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
from fastapi.responses import StreamingResponse

from serving.api import forecast_table
from serving.api.catalogue.catalogue import Catalogue
from serving.api.dependencies import CatalogueDep, problems
from serving.api.openapi.examples import FORECASTS_CSV_EXAMPLE
from serving.api.query_params import ForecastFilters, ForecastQuery
from serving.api.routes.slash_router import SlashRouter

router = SlashRouter(tags=["forecasts"])
_READ = problems(401, 404, 422, 503)
_BINARY = {"schema": {"type": "string", "format": "binary"}}


class CsvResponse(StreamingResponse):
    """A table as CSV."""

    media_type = "text/csv"


class ParquetResponse(StreamingResponse):
    """A table as parquet. The general type is that which generated clients know."""

    media_type = "application/octet-stream"


@router.get(
    "/forecasts.csv",
    response_class=CsvResponse,
    responses={**_READ, 200: {"content": {"text/csv": {"example": FORECASTS_CSV_EXAMPLE}}}},
)
def forecasts_as_csv(query: ForecastQuery, catalogue: CatalogueDep) -> CsvResponse:
    """All published forecasts, with results and scores where matches are settled, as one CSV file.

    Columns are those of the lake, with `outcome` as a word. A text that a spreadsheet would compute begins with `'`.
    """
    return CsvResponse(_body(forecast_table.csv_pieces, query, catalogue), headers=_attachment("csv"))


@router.get(
    "/forecasts.parquet",
    response_class=ParquetResponse,
    responses={**_READ, 200: {"content": {ParquetResponse.media_type: _BINARY}}},
)
def forecasts_as_parquet(query: ForecastQuery, catalogue: CatalogueDep) -> ParquetResponse:
    """All published forecasts, with results and scores where matches are settled, as one parquet file."""
    return ParquetResponse(_body(forecast_table.parquet_pieces, query, catalogue), headers=_attachment("parquet"))


def _attachment(extension: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="forecasts.{extension}"'}


def _body(
    encode: Callable[[Iterable[pa.Table]], Iterator[bytes]], filters: ForecastFilters, catalogue: Catalogue
) -> Iterator[bytes]:
    """Return the pieces of the file. What is wrong with the request or the first week raises here, before a response.

    An error in a later week ends the connection without the last piece, which clients report.
    """
    catalogue.check_filters(filters.competition, filters.season, filters.date_from, filters.date_to)
    forecast_table.check_readable(catalogue, filters)
    tables: Iterator[Any] = forecast_table.weekly_tables(catalogue, filters)
    return encode(chain([first] if (first := next(tables, None)) is not None else [], tables))
