"""`python -m serving.api` starts the REST API."""

from serving.api.app import main

main()
