"""Sensors: what runs after an event, such as new results or a promotion."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from features.competitions import country_of
from features.io import report_files, submissions
from features.io.clock import Clock
from features.io.registry import PRODUCTION, STAGING, Registry
from features.io.store import Lake, week_of
from monitoring.conditions import Policy
from orchestration.jobs import TRAIN_MODEL, promote_model, publish_forecasts, refresh_matches, update_ratings
from orchestration.partitions import PARTITION, RANGE_END, RANGE_START, competitions, register_competitions
from orchestration.promotion.aliases import has_incomplete_promotion
from orchestration.promotion.evidence import approval_of
from orchestration.promotion.manual_jobs import rollback_production
from orchestration.promotion.production_report import undecided_production
from orchestration.promotion.retraining import (
    FIRST_TRAINING_CONFIG,
    retraining_config,
    staging_busy,
    submission_config,
)
from orchestration.promotion.retraining_triggers import (
    ALARM,
    Alarm,
    alarm_retraining_block_reason,
    drift_alarm,
    performance_alarm,
)
from orchestration.settings import PipelineSettings
from orchestration.steps import input_fingerprints, lake_tables

RUNNING = dg.DefaultSensorStatus.RUNNING

FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]

REQUEST_TAG = "touchline/asked"
"""Tag with the purpose of a run that a sensor requested. Its name must not change: past runs are found by it."""

PROMOTION_RETRY_DELAY = timedelta(minutes=5)
TRAINING_RETRY_DELAY = timedelta(hours=1)
FIRST_REFRESH_RETRY_DELAY = timedelta(minutes=5)


@dg.sensor(job=promote_model, minimum_interval_seconds=15, default_status=RUNNING)
def promotion_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Requests a promotion when every condition of the published gate report has passed.

    The run evaluates the gate again before it moves an alias. A run is also requested after the alias `production` was
    moved in MLflow, so that the gate report says so.
    """
    production, candidate = registry.by_alias(PRODUCTION), registry.by_alias(STAGING)
    if production is not None and has_incomplete_promotion(registry, lake):
        purpose = f"finish the change to version {production.version}"
        return request_once(context.instance, purpose, PROMOTION_RETRY_DELAY)
    report = lake_tables.read_report(lake, report_files.PROMOTION_GATE)
    undecided = undecided_production(registry, lake)
    if report is not None and report.get("undecided_production") != undecided:
        number = "no version" if production is None else f"version {production.version}"
        purpose = f"report {number} in production, {'decided' if undecided is None else 'without a decision'}"
        return request_once(context.instance, purpose, PROMOTION_RETRY_DELAY)
    if candidate is None:
        return dg.SkipReason("no version is staged")
    if production is not None and production.version == candidate.version:
        return dg.SkipReason(f"version {candidate.version} is in production already")
    if report is None or report["candidate"] != candidate.version:
        return dg.SkipReason(f"the gate has not evaluated version {candidate.version} yet")
    failed = [line["name"] for line in report["conditions"] if not line["open"] and line["name"] != "approved"]
    if failed:
        return dg.SkipReason(f"version {candidate.version} does not meet {', '.join(failed)}; see asset promotion_gate")
    approval = approval_of(candidate)
    approved = approval is not None and approval.evidence_digest == report["evidence"]
    if settings.promotion_policy is not Policy.AUTO and not approved:
        return dg.SkipReason(f"version {candidate.version} waits for a person (job approve_promotion)")
    by = f"{approval.at.isoformat()}" if approval else "auto"
    purpose = f"promote {candidate.version} {report['evidence']} {by}"
    return request_once(context.instance, purpose, PROMOTION_RETRY_DELAY)


@dg.sensor(job=refresh_matches, minimum_interval_seconds=15, default_status=RUNNING)
def first_refresh_sensor(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[PipelineSettings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Registers the competitions of the settings; if so configured, requests the first refresh of each."""
    register_competitions(context.instance, settings.competitions)
    if not settings.run_first_pipeline:
        yield dg.SkipReason("TOUCHLINE_RUN_FIRST_PIPELINE is off")
        return
    missing = [name for name in settings.competitions if lake.table_fingerprint("matches", name) is None]
    if not missing:
        yield dg.SkipReason("every competition has been refreshed")
    for name in missing:
        yield request_once(context.instance, f"first refresh of {name}", FIRST_REFRESH_RETRY_DELAY, partition_key=name)


@dg.sensor(job_name=TRAIN_MODEL, minimum_interval_seconds=15, default_status=RUNNING)
def first_training_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Requests the first training, if so configured, when every competition has ratings."""
    if not settings.run_first_pipeline:
        return dg.SkipReason("TOUCHLINE_RUN_FIRST_PIPELINE is off")
    if registry.versions():
        return dg.SkipReason("a model has been trained")
    if not all(input_fingerprints.ratings_current(lake, name) for name in settings.competitions):
        return dg.SkipReason("not every competition has ratings yet")
    return request_once(context.instance, "first training", TRAINING_RETRY_DELAY, FIRST_TRAINING_CONFIG)


@dg.sensor(job_name=TRAIN_MODEL, minimum_interval_seconds=30, default_status=RUNNING)
def submission_sensor(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Requests the training of each estimator that was submitted with `features.api`, until it has an outcome."""
    waiting = submissions.waiting(lake)
    if not waiting:
        yield dg.SkipReason("no estimator has been submitted")
    for submission in waiting:
        yield request_once(
            context.instance, f"train submission {submission}", TRAINING_RETRY_DELAY, submission_config(submission)
        )


def request_once(
    instance: dg.DagsterInstance,
    purpose: str,
    retry_delay: timedelta,
    run_config: dict[str, object] | None = None,
    partition_key: str | None = None,
) -> dg.RunRequest | dg.SkipReason:
    """Request one run at a time for a purpose, and a new one if it failed.

    The number of attempts is part of the run key, because Dagster never launches two runs for the same key.
    """
    attempts = instance.get_run_records(dg.RunsFilter(tags={REQUEST_TAG: purpose}))
    if any(not record.dagster_run.is_finished for record in attempts):
        return dg.SkipReason(f"a run is in progress: {purpose}")
    if any(datetime.now(UTC) - record.create_timestamp < retry_delay for record in attempts):
        return dg.SkipReason(f"the previous run failed; the next attempt starts {retry_delay} after it: {purpose}")
    return dg.RunRequest(
        run_key=f"{purpose} {len(attempts)}",
        tags={REQUEST_TAG: purpose},
        run_config=run_config,
        partition_key=partition_key,
    )


@dg.sensor(job_name=TRAIN_MODEL, minimum_interval_seconds=300, default_status=RUNNING)
def drift_alarm_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Requests a training when the newest drift report shows drift, limited by cool-down and cap."""
    week = report_files.latest_drift_week(lake)
    summary = report_files.drift_summary(lake, week) if week else None
    return _request_retraining(context.instance, drift_alarm(summary), registry, lake, clock, settings)


@dg.sensor(job_name=TRAIN_MODEL, minimum_interval_seconds=300, default_status=RUNNING)
def performance_alarm_sensor(
    context: dg.SensorEvaluationContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> dg.RunRequest | dg.SkipReason:
    """Requests a training when production's last hundred forecasts score badly, limited by cool-down and cap."""
    report, production = lake_tables.read_report(lake, report_files.PERFORMANCE), registry.by_alias(PRODUCTION)
    alarm = performance_alarm(report, production.version if production else None)
    return _request_retraining(context.instance, alarm, registry, lake, clock, settings)


def _request_retraining(
    instance: dg.DagsterInstance,
    alarm: Alarm | None,
    registry: Registry,
    lake: Lake,
    clock: Clock,
    settings: PipelineSettings,
) -> dg.RunRequest | dg.SkipReason:
    if alarm is None:
        return dg.SkipReason("no alarm")
    if instance.get_runs(dg.RunsFilter(tags={REQUEST_TAG: alarm.key}, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1):
        return dg.SkipReason(f"a model has been trained for this alarm already: {alarm.why}")
    reason = staging_busy(registry, lake, clock.as_of()) or alarm_retraining_block_reason(
        registry.versions(), clock.as_of(), settings.retraining_cool_down_days, settings.max_alarm_retrainings
    )
    if reason is not None:
        return dg.SkipReason(f"{alarm.why}, but {reason}")
    return request_once(instance, alarm.key, TRAINING_RETRY_DELAY, retraining_config(f"{ALARM}{alarm.why}"))


@dg.sensor(job=update_ratings, minimum_interval_seconds=30, default_status=RUNNING)
def new_results_sensor(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Updates the ratings of a country when matches of one of its tiers have changed.

    It waits until all tiers are refreshed, so that a morning's results are rated together.
    """
    registered = set(context.instance.get_dynamic_partitions(competitions.name or ""))
    outdated = [
        name
        for name in lake.partitions("matches")
        if name in registered and not input_fingerprints.ratings_current(lake, name)
    ]
    busy_countries = {
        country_of(run.tags.get(PARTITION, ""))
        for run in context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        if run.job_name in (refresh_matches.name, update_ratings.name)
    }
    ready = [name for name in outdated if country_of(name) not in busy_countries]
    if not ready:
        return dg.SkipReason("matches are being refreshed or rated" if outdated else "the ratings are up to date")
    return [dg.RunRequest(run_key=f"{name} {_inputs_hash(lake, name)}", partition_key=name) for name in ready]


def _inputs_hash(lake: Lake, competition: str) -> str:
    """A hash of the match tables that a competition's ratings are computed from."""
    fingerprints = json.dumps(input_fingerprints.country_fingerprints(lake, competition))
    return hashlib.sha256(fingerprints.encode()).hexdigest()[:16]


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
    """Publishes forecasts of the coming matches by the new version in production.

    An asset dependency would be circular: `production_model` depends on the gate, and the gate on settled forecasts.
    """
    as_of = clock.as_of()
    last = week_of(as_of + timedelta(weeks=settings.forecast_horizon_weeks))
    return dg.RunRequest(
        run_key=f"after {context.dagster_run.run_id}", tags={RANGE_START: week_of(as_of), RANGE_END: last}
    )


SENSORS = [
    first_refresh_sensor,
    first_training_sensor,
    new_results_sensor,
    submission_sensor,
    promotion_sensor,
    drift_alarm_sensor,
    performance_alarm_sensor,
    production_changed_sensor,
    dg.AutomationConditionSensorDefinition(
        "automation_sensor", target=dg.AssetSelection.all(), default_status=RUNNING, minimum_interval_seconds=30
    ),
]
