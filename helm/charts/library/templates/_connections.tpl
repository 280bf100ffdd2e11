{{/* Location of the lake: an S3 address, or a volume shared by the pods of one node. */}}
{{- define "touchline.lake.onVolume" -}}
{{- if eq (((.Values.global).lake).mode | default "volume") "volume" }}true{{ end -}}
{{- end }}

{{- define "touchline.lake.url" -}}
{{- if include "touchline.lake.onVolume" . }}/lake{{ else }}{{ required "global.lake.url: the s3:// address of the lake is needed with global.lake.mode=s3" .Values.global.lake.url }}{{ end -}}
{{- end }}

{{- define "touchline.serviceAccount" -}}
{{- include "touchline.name" (list . "workload") -}}
{{- end }}

{{- define "touchline.mlflow.url" -}}
{{- printf "http://%s:5000" (include "touchline.name" (list . "mlflow")) -}}
{{- end }}

{{/* Credentials and endpoint of the object store, in the variables that AWS clients read. */}}
{{- define "touchline.env.s3" -}}
{{- $lake := (.Values.global).lake | default dict -}}
{{- with $lake.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with $lake.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- if ((.Values.global).existingSecrets).objectStorage }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ .Values.global.existingSecrets.objectStorage }}
      key: access-key-id
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.global.existingSecrets.objectStorage }}
      key: secret-access-key
{{- end }}
{{- end }}

{{/* Environment of every process that uses the lake. */}}
{{- define "touchline.env.shared" -}}
{{- $global := .Values.global | default dict -}}
- name: TOUCHLINE_HOME
  value: /tmp/touchline
- name: TOUCHLINE_LAKE
  value: {{ include "touchline.lake.url" . | quote }}
- name: TOUCHLINE_SOURCE
  value: {{ $global.source | default "bundled" | quote }}
- name: TOUCHLINE_COMPETITIONS
  value: {{ $global.competitions | default list | join "," | quote }}
{{- with $global.asOf }}
- name: TOUCHLINE_AS_OF
  value: {{ . | quote }}
{{- end }}
{{- if not (include "touchline.lake.onVolume" .) }}
{{- include "touchline.env.s3" . }}
{{- end }}
{{- with $global.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Environment of every process that uses the registry, which the API does not. */}}
{{- define "touchline.env.registry" -}}
- name: TOUCHLINE_MLFLOW_TRACKING_URI
  value: {{ include "touchline.mlflow.url" . | quote }}
- name: TOUCHLINE_REQUIRE_PROMOTION_DECISION
  value: {{ (.Values.global | default dict).requirePromotionDecision | default false | quote }}
{{- end }}

{{- define "touchline.env.broker" -}}
- name: TOUCHLINE_BROKER_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "touchline.secret" (list . "broker") }}
      key: url
- name: TOUCHLINE_RESULT_BACKEND_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "touchline.secret" (list . "results") }}
      key: url
{{- end }}

{{/* (list $ readOnly) */}}
{{- define "touchline.lake.mount" -}}
{{- if include "touchline.lake.onVolume" (index . 0) }}
- name: lake
  mountPath: /lake
  readOnly: {{ index . 1 }}
{{- end }}
{{- end }}

{{- define "touchline.lake.volume" -}}
{{- if include "touchline.lake.onVolume" . }}
- name: lake
  persistentVolumeClaim:
    claimName: {{ include "touchline.name" (list . "lake") }}
{{- end }}
{{- end }}

{{/* Pod affinity for a volume that only one node can mount. */}}
{{- define "touchline.lake.label" -}}
{{- if and (include "touchline.lake.onVolume" .) (eq (((.Values.global).lake).accessMode | default "ReadWriteOnce") "ReadWriteOnce") -}}
touchline/lake: {{ .Release.Name }}
{{- end }}
{{- end }}

{{/* (list $ "component" replicas): a budget of pods that use the lake. Where its volume holds them on one node there is none:
     an evicted pod finds no other node before all of them have left, so a budget would block every drain. */}}
{{- define "touchline.lake.pdb" -}}
{{- if not (include "touchline.lake.label" (index . 0)) }}{{ include "touchline.pdb" . }}{{ end -}}
{{- end }}

{{- define "touchline.lake.affinity" -}}
{{- with include "touchline.lake.label" . }}
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- . | nindent 12 }}
{{- end }}
{{- end }}
