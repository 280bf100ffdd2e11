"""Definitions of all data checks: names, severities and limits.

Dagster declares its checks from here without importing Great Expectations, which takes seconds;
`monitoring.expectations` runs them.
"""
