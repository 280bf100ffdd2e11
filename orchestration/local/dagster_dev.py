"""`dagster dev` with the webserver that refuses other web pages; takes its arguments."""

import sys

from orchestration._dagster_internals import run_dagster_dev

if __name__ == "__main__":
    run_dagster_dev(sys.argv[1:], "orchestration.local.webserver")
