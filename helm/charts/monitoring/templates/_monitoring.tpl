{{- define "monitoring.operator" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}true{{ end -}}
{{- end }}

{{/* (list $ "component"): metadata with the labels that a Prometheus selects by. */}}
{{- define "monitoring.metadata" -}}
{{ include "touchline.metadata" . }}
{{- with (index . 0).Values.labels }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
