{{/* Container fields shared by the server and the migration. */}}
{{- define "mlflow.env" -}}
- name: MLFLOW_BACKEND_STORE_URI
  valueFrom:
    secretKeyRef:
      name: {{ include "touchline.secret" (list . "mlflowDatabase") }}
      key: uri
- name: MLFLOW_ARTIFACTS_DESTINATION
  value: {{ .Values.artifacts.destination | default "/artifacts" | quote }}
{{- if .Values.artifacts.destination }}
{{- include "touchline.env.s3" . }}
{{- end }}
{{- end }}

{{- define "mlflow.hosts" -}}
{{- $name := include "touchline.name" (list . "mlflow") -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.%s" $name .Release.Namespace ((.Values.global).clusterDomain | default "cluster.local")) -}}
{{- /* A port-forward may listen on any local port. */ -}}
{{- $all := list "localhost" "localhost:*" "127.0.0.1" "127.0.0.1:*" "[[]::1]" "[[]::1]:*" -}}
{{- with .Values.ingressHost }}{{ $hosts = append $hosts . }}{{ end -}}
{{- range concat $hosts .Values.allowedHosts }}{{ $all = append (append $all .) (printf "%s:5000" .) }}{{ end -}}
{{- join "," (uniq $all) -}}
{{- end }}

{{/* Pages that may change something: MLflow's own behind an Ingress. Without it, MLflow refuses them as foreign. */}}
{{- define "mlflow.origins" -}}
{{- $origins := list -}}
{{- range compact (append .Values.allowedHosts .Values.ingressHost) }}{{ $origins = append $origins (printf "https://%s" .) }}{{ end -}}
{{- join "," (uniq $origins) -}}
{{- end }}
