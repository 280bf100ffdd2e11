"""Answering now: the REST API and the Celery worker behind it."""
