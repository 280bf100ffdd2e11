{{- define "dagster.instance" -}}
storage:
  postgres:
    postgres_db:
      hostname: {env: DAGSTER_PG_HOST}
      port: {env: DAGSTER_PG_PORT}
      db_name: {env: DAGSTER_PG_DB}
      username: {env: DAGSTER_PG_USER}
      password: {env: DAGSTER_PG_PASSWORD}
      scheme: postgresql+psycopg2
run_launcher:
  module: dagster_k8s
  class: K8sRunLauncher
  config:
    job_namespace: {{ .Release.Namespace }}
    load_incluster_config: true
    service_account_name: {{ include "dagster.serviceAccount" . }}
    instance_config_map: {{ include "touchline.name" (list . "dagster-instance") }}
    image_pull_policy: {{ include "touchline.pullPolicy" . }}
    fail_pod_on_run_failure: true
    run_k8s_config:
      {{- include "dagster.runs" . | nindent 6 }}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
concurrency:
  pools:
    default_limit: 1
    granularity: op
  runs:
    max_concurrent_runs: {{ .Values.runs.maxConcurrent }}
run_monitoring:
  enabled: true
  start_timeout_seconds: {{ .Values.runs.startTimeoutSeconds }}
  max_runtime_seconds: {{ .Values.runs.maxRuntimeSeconds }}
  poll_interval_seconds: 60
run_retries:
  enabled: true
  max_retries: {{ .Values.runs.maxRetries }}
  retry_on_asset_or_op_failure: false
# The output of a run is in the log of its pod.
compute_logs:
  module: dagster.core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
local_artifact_storage:
  module: dagster.core.storage.root
  class: LocalArtifactStorage
  config:
    base_dir: /tmp/dagster
nux:
  enabled: false
telemetry:
  enabled: false
{{- end }}
