"""`python -m serving.worker` starts a Celery worker."""

from serving.worker.environment import remove_library_variables

ignored = remove_library_variables()

from serving.worker.app import main  # noqa: E402 - some variables take effect when Celery is imported

main(ignored)
