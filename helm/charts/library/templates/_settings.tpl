{{/* A map of settings in camelCase as TOUCHLINE_ variables; lists with commas, whole numbers without an exponent. */}}
{{- define "touchline.settings" -}}
{{- range $key, $value := . }}
- name: TOUCHLINE_{{ snakecase $key | upper }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}
  value: {{ int64 $value | quote }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}
