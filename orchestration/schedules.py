"""What happens by the clock, in UTC. What follows from new results follows by itself: see `automation`."""

from datetime import timedelta

import dagster as dg

from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake, week_of
from orchestration.jobs import refresh_matches, report_drift, train_model
from orchestration.partitions import competitions, register_competitions
from orchestration.promotion.retraining import place_taken, retraining
from orchestration.settings import PipelineSettings

RUNNING = dg.DefaultScheduleStatus.RUNNING


@dg.schedule(job=refresh_matches, cron_schedule="0 6 * * *", default_status=RUNNING, name="daily_refresh")
def daily_refresh(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[PipelineSettings]
) -> list[dg.RunRequest]:
    """Every morning: results and fixtures of each competition; ratings, forecasts and scores follow by themselves."""
    register_competitions(context.instance, settings.competitions)
    names = context.instance.get_dynamic_partitions(competitions.name or "")
    tick = context.scheduled_execution_time.isoformat()
    return [dg.RunRequest(run_key=f"{name} {tick}", partition_key=name) for name in names]


@dg.schedule(job=train_model, cron_schedule="0 5 * * 2", default_status=RUNNING, name="weekly_retraining")
def weekly_retraining(
    registry: dg.ResourceParam[Registry], lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]
) -> dg.RunRequest | dg.SkipReason:
    """Every Tuesday: a candidate that has learnt from the running season too, unless one has not had its chance yet."""
    if why := place_taken(registry, lake, clock.as_of()):
        return dg.SkipReason(why)
    return dg.RunRequest(run_config=retraining("weekly schedule"))


@dg.schedule(job=report_drift, cron_schedule="0 7 * * 1", default_status=RUNNING, name="weekly_drift")
def weekly_drift(clock: dg.ResourceParam[Clock]) -> dg.RunRequest:
    """Every Monday: drift of the week that is over."""
    return dg.RunRequest(partition_key=week_of(clock.as_of() - timedelta(weeks=1)))


SCHEDULES = [daily_refresh, weekly_retraining, weekly_drift]
