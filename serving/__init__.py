"""Online serving: the REST API and the Celery worker behind it.

Start the two processes with `python -m serving.api` and `python -m serving.worker`. The first adds connection limits
that plain `uvicorn` lacks, the second adds options that plain `celery` lacks.
"""
