{{/* The scaler in use: keda, hpa or none; never two. */}}
{{- define "worker.scaler" -}}
{{- $keda := .Capabilities.APIVersions.Has "keda.sh/v1alpha1" -}}
{{- if eq .Values.autoscaling.mode "auto" }}{{ ternary "keda" "hpa" $keda }}{{ else }}{{ .Values.autoscaling.mode }}{{ end -}}
{{- end }}
