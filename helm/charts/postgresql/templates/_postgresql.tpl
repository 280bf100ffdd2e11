{{- define "postgresql.host" -}}
{{- $name := include "touchline.name" (list . "postgresql") -}}
{{- if eq .Values.mode "external" -}}
{{- required "postgresql.external.host is needed with postgresql.mode=external, unless both database Secrets are given" .Values.external.host -}}
{{- else if eq .Values.mode "cnpg" }}{{ $name }}-rw{{ else }}{{ $name }}{{ end -}}
{{- end }}

{{- define "postgresql.port" -}}
{{- if eq .Values.mode "external" }}{{ .Values.external.port }}{{ else }}5432{{ end -}}
{{- end }}

{{/* (list $ "mlflow"): the Secret of one database, with all that its user needs to connect. */}}
{{- define "postgresql.secret" -}}
{{- $root := index . 0 -}}
{{- $use := index . 1 -}}
{{- $database := index $root.Values.databases $use -}}
{{- $name := include "touchline.secret" (list $root (printf "%sDatabase" $use)) -}}
{{- if and (eq $root.Values.mode "external") (not $database.password) -}}
{{- fail (printf "postgresql.databases.%s.password or global.existingSecrets.%sDatabase is needed with postgresql.mode=external" $use $use) -}}
{{- end -}}
{{- $password := $database.password | default (include "touchline.kept" (list $root $name "password" (randAlphaNum 32))) -}}
{{- $host := include "postgresql.host" $root -}}
{{- $port := include "postgresql.port" $root -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "touchline.metadata" (list $root (printf "%s-database" $use)) | nindent 2 }}
  {{- if ne $root.Values.mode "external" }}
  {{- include "touchline.keep" $root | nindent 2 }}
  {{- end }}
type: kubernetes.io/basic-auth
stringData:
  host: {{ $host | quote }}
  port: {{ $port | quote }}
  dbname: {{ $database.name | quote }}
  username: {{ $database.username | quote }}
  password: {{ $password | quote }}
  uri: postgresql+psycopg2://{{ $database.username }}:{{ urlquery $password | replace "+" "%20" }}@{{ $host }}:{{ $port }}/{{ $database.name }}
{{- end }}
