"""Schedules, in UTC. New results trigger everything else: see `automation` and `sensors`."""

from datetime import timedelta

import dagster as dg

from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake, week_of
from orchestration.jobs import TRAIN_MODEL, refresh_matches, report_drift
from orchestration.partitions import competitions, register_competitions
from orchestration.promotion.retraining import retraining_config, staging_busy
from orchestration.settings import PipelineSettings

RUNNING = dg.DefaultScheduleStatus.RUNNING


@dg.schedule(job=refresh_matches, cron_schedule="0 6 * * *", default_status=RUNNING, name="daily_refresh")
def daily_refresh(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[PipelineSettings]
) -> list[dg.RunRequest]:
    """Every morning: fetch results and fixtures of each competition. Ratings, forecasts and scores follow."""
    register_competitions(context.instance, settings.competitions)
    names = context.instance.get_dynamic_partitions(competitions.name or "")
    tick = context.scheduled_execution_time.isoformat()
    return [dg.RunRequest(run_key=f"{name} {tick}", partition_key=name) for name in names]


@dg.schedule(job_name=TRAIN_MODEL, cron_schedule="0 5 * * 2", default_status=RUNNING, name="weekly_retraining")
def weekly_retraining(
    registry: dg.ResourceParam[Registry], lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]
) -> dg.RunRequest | dg.SkipReason:
    """Every Tuesday: train a candidate, also on the current season, unless one in staging is still being evaluated."""
    if reason := staging_busy(registry, lake, clock.as_of()):
        return dg.SkipReason(reason)
    return dg.RunRequest(run_config=retraining_config("weekly schedule"))


@dg.schedule(job=report_drift, cron_schedule="0 7 * * 1", default_status=RUNNING, name="weekly_drift")
def weekly_drift(clock: dg.ResourceParam[Clock]) -> dg.RunRequest:
    """Every Monday: report the drift of the week that has ended."""
    return dg.RunRequest(partition_key=week_of(clock.as_of() - timedelta(weeks=1)))


SCHEDULES = [daily_refresh, weekly_retraining, weekly_drift]
