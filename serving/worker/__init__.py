"""The Celery worker that computes forecasts: `python -m serving.worker`."""
