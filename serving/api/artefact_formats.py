"""Reading artefacts of the lake that another release wrote, or that somebody changed: each has an explained error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from features.errors import CorruptArtefactError

ReportT = TypeVar("ReportT", bound=BaseModel)
_MAX_DETAIL = 300
"""Characters of another library's message: it may repeat what the artefact contains."""


@contextmanager
def expected_format(path: str) -> Iterator[None]:
    """Raise CorruptArtefactError, with the path, for an artefact that lacks something or has values of other types."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))[:100]
        raise CorruptArtefactError(f"{path} does not have the expected format: {field}: {first['msg']}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CorruptArtefactError(
            f"{path} does not have the expected format: {error!r}"[:_MAX_DETAIL] + "; materialise its asset again"
        ) from error


def parse_report(schema: type[ReportT], path: str, report: dict[str, Any]) -> ReportT:
    """Return a report in the form that the API promises; raises CorruptArtefactError if it has another."""
    with expected_format(path):
        parsed = schema.model_validate(report)
        parsed.model_dump_json()  # fails for values that a response cannot have, such as halves of characters
        return parsed
