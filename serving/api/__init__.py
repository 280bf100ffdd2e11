"""The REST API: `python -m serving.api`."""
