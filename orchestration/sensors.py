"""What happens when something has happened."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from features.competitions import pool_of
from features.io import reports
from features.io.clock import Clock
from features.io.registry import PRODUCTION, STAGING, Registry
from features.io.store import Lake, week_of
from monitoring.conditions import Policy
from orchestration.jobs import promote_model, publish_forecasts, refresh_matches, train_model, update_ratings
from orchestration.partitions import PARTITION, RANGE_END, RANGE_START, competitions
from orchestration.promotion.aliases import unfinished
from orchestration.promotion.evidence import approval_of, latest_drift_week
from orchestration.promotion.gate_report import GATE_REPORT
from orchestration.promotion.manual_jobs import rollback_production
from orchestration.promotion.retraining import place_taken, retraining
from orchestration.promotion.retraining_triggers import ALARM, Alarm, drift_alarm, held_back, performance_alarm
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables

RUNNING = dg.DefaultSensorStatus.RUNNING

UNFINISHED = [one for one in dg.DagsterRunStatus if one not in FINISHED_STATUSES]

ASKED = "touchline/asked"
"""Tag of a run that a sensor asked for: what it was asked for."""

RETRY = timedelta(minutes=5)
"""How long after a run that did not promote the next one is asked for."""

RETRY_TRAINING = timedelta(hours=1)
"""How long after a training that failed the next one is asked for."""


@dg.sensor(job=promote_model, minimum_interval_seconds=15, default_status=RUNNING)
def promotion_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a promotion when the last verdict leaves nothing shut; the run judges again before it moves an alias."""
    production, candidate = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    if production is not None and unfinished(registry, lake):
        return _ask(context.instance, f"finish the change to version {production.version}", RETRY)
    if candidate is None:
        return dg.SkipReason("no version is staged")
    verdict = lake_tables.document(lake, GATE_REPORT)
    if production is not None and production.version == candidate.version:
        return dg.SkipReason(f"version {candidate.version} is in production already")
    if verdict is None or verdict["candidate"] != candidate.version:
        return dg.SkipReason(f"the gate has not judged version {candidate.version} yet")
    shut = [one["name"] for one in verdict["conditions"] if not one["open"] and one["name"] != "approved"]
    if shut:
        return dg.SkipReason(f"version {candidate.version}: shut are {', '.join(shut)} (see asset promotion_gate)")
    approval = approval_of(candidate)
    approved = approval is not None and approval.evidence == verdict["evidence"]
    if settings.promotion_policy is not Policy.AUTO and not approved:
        return dg.SkipReason(f"version {candidate.version} waits for a person (job approve_promotion)")
    by = f"{approval.at.isoformat()}" if approval else "auto"
    return _ask(context.instance, f"promote {candidate.version} {verdict['evidence']} {by}", RETRY)


def _ask(
    instance: dg.DagsterInstance, what: str, retry: timedelta, run_config: dict[str, object] | None = None
) -> dg.RunRequest | dg.SkipReason:
    """One run at a time for the same thing, and another one if that was in vain: Dagster answers a run key once."""
    attempts = instance.get_run_records(dg.RunsFilter(tags={ASKED: what}))
    if any(not one.dagster_run.is_finished for one in attempts):
        return dg.SkipReason(f"a run is under way: {what}")
    if any(datetime.now(UTC) - one.create_timestamp < retry for one in attempts):
        return dg.SkipReason(f"the last run was in vain; the next one is asked for {retry} after it: {what}")
    return dg.RunRequest(run_key=f"{what} {len(attempts)}", tags={ASKED: what}, run_config=run_config)


@dg.sensor(job=train_model, minimum_interval_seconds=300, default_status=RUNNING)
def drift_alarm_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a training when the newest drift report says drift, within the cool-down and the cap."""
    week = reports.latest_drift_week(lake)
    summary = reports.drift_summary(lake, week) if week else None
    return _retrain(context.instance, drift_alarm(summary), registry, lake, clock, settings)


@dg.sensor(job=train_model, minimum_interval_seconds=300, default_status=RUNNING)
def performance_alarm_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a training when production's last hundred forecasts disappoint, within the cool-down and the cap."""
    report, production = lake_tables.document(lake, reports.PERFORMANCE), registry.by_alias(PRODUCTION)
    alarm = performance_alarm(report, production.version if production else None)
    return _retrain(context.instance, alarm, registry, lake, clock, settings)


def _retrain(
    instance: dg.DagsterInstance,
    alarm: Alarm | None,
    registry: Registry,
    lake: Lake,
    clock: Clock,
    settings: PipelineSettings,
) -> dg.RunRequest | dg.SkipReason:
    if alarm is None:
        return dg.SkipReason("no alarm")
    if instance.get_runs(dg.RunsFilter(tags={ASKED: alarm.key}, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1):
        return dg.SkipReason(f"already answered: {alarm.why}")
    reason = place_taken(registry, lake, clock.as_of()) or held_back(
        registry.versions(), clock.as_of(), settings.retraining_cool_down_days, settings.max_alarm_retrainings
    )
    if reason is not None:
        return dg.SkipReason(f"{alarm.why}, but {reason}")
    return _ask(instance, alarm.key, RETRY_TRAINING, retraining(f"{ALARM}{alarm.why}"))


@dg.sensor(job=update_ratings, minimum_interval_seconds=30, default_status=RUNNING)
def new_results_sensor(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Rates the clubs of a country again when matches of one of its tiers have changed, and those of no other country.

    It waits until all tiers are refreshed, so that a morning's results are taken in together.
    """
    known = set(context.instance.get_dynamic_partitions(competitions.name or ""))
    due = [name for name in lake.partitions("matches") if name in known and not lake_tables.is_rated(lake, name)]
    under_way = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    busy = {
        pool_of(run.tags.get(PARTITION, ""))
        for run in under_way
        if run.job_name in (refresh_matches.name, update_ratings.name)
    }
    free = [name for name in due if pool_of(name) not in busy]
    if not free:
        return dg.SkipReason("matches are being refreshed or rated" if due else "the ratings are up to date")
    return [dg.RunRequest(run_key=f"{name} {_content(lake, name)}", partition_key=name) for name in free]


def _content(lake: Lake, competition: str) -> str:
    """What a competition is to be rated from, in short."""
    return hashlib.sha256(json.dumps(lake_tables.stamps_of_pool(lake, competition)).encode()).hexdigest()[:16]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[promote_model, rollback_production],
    request_job=publish_forecasts,
    default_status=RUNNING,
    minimum_interval_seconds=15,
)
def production_changed_sensor(
    context: dg.RunStatusSensorContext, clock: dg.ResourceParam[Clock], settings: dg.ResourceParam[PipelineSettings]
) -> dg.RunRequest:
    """Lets a new version in production forecast the matches to come.

    Assets cannot depend in a circle: the gate in front of `production_model` rests on what became of the forecasts.
    """
    as_of = clock.as_of()
    last = week_of(as_of + timedelta(weeks=settings.forecast_horizon_weeks))
    return dg.RunRequest(
        run_key=f"after {context.dagster_run.run_id}", tags={RANGE_START: week_of(as_of), RANGE_END: last}
    )


SENSORS = [
    new_results_sensor,
    promotion_sensor,
    drift_alarm_sensor,
    performance_alarm_sensor,
    production_changed_sensor,
    dg.AutomationConditionSensorDefinition(
        "automation_sensor", target=dg.AssetSelection.all(), default_status=RUNNING, minimum_interval_seconds=30
    ),
]
