"""Errors: RFC 9457 problem documents."""

from __future__ import annotations

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str = Field(description="Name of the field, parameter or header; `body` for the body as a whole.")
    message: str
    suggestions: list[str] = Field([], description="Known values that are similar, most similar first.")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field("about:blank", description="URN that identifies the kind of error. It never changes.")
    title: str
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong with this request.")
    request_id: str | None = Field(None, description="Id of the request in the logs.")
    errors: list[FieldError] = Field([], description="The fields at fault, if any.")
