"""Pydantic models of requests and responses, one module per area; together they are the schemas of the API docs."""
