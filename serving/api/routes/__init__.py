"""Endpoints, one module an area."""
