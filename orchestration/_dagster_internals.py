"""Everything that relies on Dagster beyond its public API, in one place to check on an upgrade.

`tests/orchestration/test_dagster_internals.py` fails when Dagster changes any of it.
"""

import dagster as dg

RUN_LOCATION = {".dagster/repository": "__repository__@touchline"}
"""Tag of runs that were not launched through the code location of workspace.yaml.

The page of a job lists only runs with this tag; Dagster sets it itself on the runs that it launches.
"""


def check_history(instance: dg.DagsterInstance, key: dg.AssetCheckKey, limit: int) -> list[tuple[str, bool]]:
    """Run id and success of the newest executions of a check, newest first.

    An execution that has not finished counts as not passed. The public API returns the latest execution only, not one
    per partition.
    """
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit)
    return [(record.run_id, record.status.value == "SUCCEEDED") for record in records]
