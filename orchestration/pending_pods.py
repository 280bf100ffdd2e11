"""Why a run's pod does not start, reported in the run's own events.

Where runs are not pods, the launcher has nothing to tell, and nothing is reported.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

REPORT_AFTER = timedelta(seconds=20)
"""A pod whose image is present and that has room starts sooner than this."""


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def pending_pods_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Reports why a run that was launched has not started: no node has room, no image, no quota.

    Dagster itself asks only when `runs.startTimeoutSeconds` are over. Each reason is reported once per run.
    """
    reported: dict[str, str] = json.loads(context.cursor or "{}")
    pending = report_pending(context.instance, reported, datetime.now(UTC))
    context.update_cursor(json.dumps(pending))
    return dg.SkipReason(f"{len(pending)} runs wait for their pods" if pending else "no run waits for its pod")


def report_pending(instance: dg.DagsterInstance, reported: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Report the reason of every run that is still starting, unless `reported` has it; return all reasons' hashes.

    Both mappings are from run ids to hashes.
    """
    pending: dict[str, str] = {}
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])):
        run = record.dagster_run
        if now - record.update_timestamp.replace(tzinfo=UTC) < REPORT_AFTER:
            continue
        reason = instance.run_launcher.get_run_worker_debug_info(run, include_container_logs=False)
        pending[run.run_id] = hashlib.sha256(_stable(reason or "").encode()).hexdigest()[:16]
        if reason and reported.get(run.run_id) != pending[run.run_id]:
            instance.report_engine_event(f"The pod of this run has not started yet.\n{reason}", run)
    return pending


def _stable(reason: str) -> str:
    """The text without its digits: ages and counts change from one look to the next."""
    return "".join(character for character in reason if not character.isdigit())
