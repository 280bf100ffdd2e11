"""Dagster assets, one module a noun."""
