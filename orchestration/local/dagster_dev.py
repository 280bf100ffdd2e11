"""`dagster dev` with the webserver that refuses other web pages; takes its arguments.

Variables of other projects, such as DAGSTER_MODULE_NAME, do not change what it loads.
"""

import sys

from features.errors import InvalidInputError
from features.io.environment import prepare_environment
from orchestration._dagster_internals import run_dagster_dev

if __name__ == "__main__":
    try:
        prepare_environment()
    except InvalidInputError as error:
        sys.exit(str(error))
    run_dagster_dev(sys.argv[1:], "orchestration.local.webserver")
