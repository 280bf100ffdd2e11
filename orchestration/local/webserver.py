"""Dagster's webserver behind the guard that refuses other web pages; takes the arguments of `dagster-webserver`."""

from functools import partial

from orchestration._dagster_internals import run_webserver
from orchestration.local.request_origin import OriginGuard
from orchestration.local.services import LocalSettings

if __name__ == "__main__":
    run_webserver(partial(OriginGuard, hosts=LocalSettings().dagster_hosts))
