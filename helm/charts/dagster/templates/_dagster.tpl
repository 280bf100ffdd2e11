{{- define "dagster.env.database" -}}
{{- range $variable, $key := dict "HOST" "host" "PORT" "port" "DB" "dbname" "USER" "username" "PASSWORD" "password" }}
- name: DAGSTER_PG_{{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ include "touchline.secret" (list $ "dagsterDatabase") }}
      key: {{ $key }}
{{- end }}
{{- end }}

{{/* Environment of the code server and every run pod. */}}
{{- define "dagster.env.code" -}}
{{- include "touchline.env.shared" . }}
{{ include "touchline.env.registry" . }}
{{- include "dagster.env.database" . }}
- name: TOUCHLINE_PUBLIC_API_URL
  value: {{ .Values.links.api | quote }}
- name: TOUCHLINE_RUN_FIRST_PIPELINE
  value: {{ .Values.runFirstPipeline | quote }}
- name: TOUCHLINE_K8S_STEP_PODS
  value: {{ .Values.runs.stepPods | quote }}
{{- include "touchline.settings" .Values.settings }}
{{- end }}

{{- define "dagster.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: instance, mountPath: /opt/dagster/dagster_home/dagster.yaml, subPath: dagster.yaml, readOnly: true}
{{- end }}

{{- define "dagster.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
- name: instance
  configMap:
    name: {{ include "touchline.name" (list . "dagster-instance") }}
{{- end }}

{{/* Mounts of the lake and of the user's own matches in the code server and every run pod. */}}
{{- define "dagster.code.mounts" -}}
{{- include "touchline.lake.mount" (list . false) }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dagster.code.volumes" -}}
{{- include "touchline.lake.volume" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Run pods and step pods: K8sRunLauncher applies the following to both. It mounts dagster.yaml itself. */}}
{{- define "dagster.runs" -}}
container_config:
  env:
    {{- include "dagster.env.code" . | nindent 4 }}
  resources:
    {{- toYaml .Values.runs.resources | nindent 4 }}
  securityContext:
    {{- include "touchline.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- include "dagster.code.mounts" . | nindent 4 }}
pod_template_spec_metadata:
  labels:
    {{- include "touchline.selector" (list . "dagster-run") | nindent 4 }}
    {{- include "touchline.lake.label" . | nindent 4 }}
pod_spec_config:
  {{- include "touchline.pod" (list . "dagster-run" (include "touchline.uid" .) true) | nindent 2 }}
  {{- include "touchline.lake.affinity" . | nindent 2 }}
  terminationGracePeriodSeconds: 60
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 4Gi}
    {{- include "dagster.code.volumes" . | nindent 4 }}
job_spec_config:
  ttl_seconds_after_finished: {{ .Values.runs.keepFinishedSeconds }}
{{- end }}

{{- define "dagster.serviceAccount" -}}
{{- include "touchline.name" (list . "dagster") -}}
{{- end }}
