"""Answering now: the REST API and the Celery worker behind it.

`python -m serving.app` and `python -m serving.worker` start the two processes; they are the same as
`uvicorn serving.app:create_app --factory` and `celery -A serving.worker worker --queues ml --pool prefork`.
"""
