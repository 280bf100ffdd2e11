"""Logs, spans and memory of the API and of the worker."""
