"""What is claimed of the data: the names, severities and limits of all checks, without any library to check them.

Dagster declares its checks from here without importing Great Expectations, which takes seconds;
`monitoring.expectations` runs them.
"""
