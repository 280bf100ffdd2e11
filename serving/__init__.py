"""Answering now: the REST API and the Celery worker behind it.

`python -m serving.api` and `python -m serving.worker` start the two processes; they are the same as
`uvicorn serving.api.app:create_app --factory` and `celery -A serving.worker.app worker --queues ml --pool prefork`.
"""
