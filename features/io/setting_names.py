"""The names of all settings, so that every process can refuse a misspelt or renamed one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from features.teams import suggest

PREFIX = "TOUCHLINE_"

_SHARED = """
aliases as_of competitions files files_columns first_season football_data_url formats home lake mlflow_tracking_uri
openfootball_url recipes require_promotion_decision rulings s3_endpoint seed source
"""
_PIPELINE = """
dagster_storage_url evaluation_first_season features first_published_week forecast_horizon_weeks k8s_step_pods
max_alarm_retrainings promotion_policy public_api_url retraining_cool_down_days run_first_pipeline
"""
_LOCAL = """
api_port broker_url dagster_hosts dagster_port dagster_storage_url mlflow_port result_backend_url ui_host ui_port
"""
_SERVING = """
api_host api_keys_file api_port api_processes api_root_path broker_url catalogue_refresh_seconds cors_origins
drain_file heartbeat_dir http_io_timeout_seconds keep_alive_seconds log_level max_body_bytes max_connections
max_queue_length model_poll_seconds otlp_endpoint result_backend_url result_ttl_seconds shed_above_wait_seconds
sync_timeout_seconds visibility_timeout_seconds worker_batch_size worker_concurrency worker_metrics_port
"""
_UI = "api_key api_timeout_seconds api_url dagster_url grafana_url mlflow_url predict_timeout_seconds"
SETTINGS_CLASSES = {
    "features.io.settings:Settings": frozenset(_SHARED.split()),
    "orchestration.settings:PipelineSettings": frozenset(_PIPELINE.split()),
    "orchestration.local.services:LocalSettings": frozenset(_LOCAL.split()),
    "serving.settings:ServingSettings": frozenset(_SERVING.split()),
    "ui.settings:UiSettings": frozenset(_UI.split()),
}
"""Each settings class and the fields it adds to the shared ones. Each process must know the settings of all
others, even if its image lacks their code. tests/contracts/test_settings.py compares these names with the classes."""
KNOWN_FIELDS = frozenset[str]().union(*SETTINGS_CLASSES.values())
RENAMED_FIELDS = {
    "api_timeout": "api_timeout_seconds",
    "batch_limit": "worker_batch_size",
    "body_timeout": "http_io_timeout_seconds",
    "evaluate_from": "evaluation_first_season",
    "first_week": "first_published_week",
    "max_queued": "max_queue_length",
    "max_wait": "shed_above_wait_seconds",
    "predict_patience": "predict_timeout_seconds",
    "refresh_seconds": "catalogue_refresh_seconds",
    "retraining_cap": "max_alarm_retrainings",
    "step_pods": "k8s_step_pods",
    "sync_timeout": "sync_timeout_seconds",
    "task_lifetime": "result_ttl_seconds",
    "visibility_timeout": "visibility_timeout_seconds",
    "weeks_ahead": "forecast_horizon_weeks",
}
"""Names of version 0.1 and their successors. No process starts while an old variable is set: its value would otherwise
be ignored without notice."""


def renamed_variables(names: Iterable[str] | None = None) -> list[str]:
    """Return one sentence for each variable in `names` (default: the environment) that was renamed."""
    successors = {f"{PREFIX}{old.upper()}": f"{PREFIX}{new.upper()}" for old, new in RENAMED_FIELDS.items()}
    variables = os.environ if names is None else names
    return [
        f"setting {name} was renamed; set {successors[name]} instead"
        for name in sorted(variables)
        if name in successors
    ]


def unknown_variables(names: Iterable[str] | None = None) -> list[str]:
    """Return one sentence for each TOUCHLINE_ variable in `names` (default: the environment) that is no setting."""
    known = {f"{PREFIX}{field.upper()}": field for field in sorted(KNOWN_FIELDS)}
    variables = os.environ if names is None else names
    sentences = renamed_variables(variables)
    for name in sorted(variables):
        field = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and name not in known and field.lower() not in RENAMED_FIELDS:
            similar = suggest(field, list(known.values()))
            hint = f"; did you mean {' or '.join(PREFIX + match.upper() for match in similar)}?" if similar else ""
            sentences.append(f"unknown setting {name}{hint}")
    return sentences
