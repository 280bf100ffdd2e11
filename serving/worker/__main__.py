"""`python -m serving.worker` starts a Celery worker."""

from serving.worker.app import main

main()
