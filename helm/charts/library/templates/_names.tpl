{{/* Every helper that needs a component takes (list $ "component"); the others take the root context. */}}

{{/* At most 52 characters, to leave room for the suffixes of controllers. Only the release name is cut, because the
     component makes the name unique. */}}
{{- define "touchline.name" -}}
{{- $room := sub 51 (len (index . 1)) | int -}}
{{- printf "%s-%s" ((index . 0).Release.Name | trunc $room | trimSuffix "-") (index . 1) -}}
{{- end }}

{{- define "touchline.selector" -}}
app.kubernetes.io/name: touchline
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels without a version: those of pods that keep state, so that a new version of the chart alone does not restart them. */}}
{{- define "touchline.stableLabels" -}}
{{ include "touchline.selector" . }}
app.kubernetes.io/part-of: touchline
{{- end }}

{{- define "touchline.labels" -}}
{{ include "touchline.stableLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "touchline.metadata" -}}
name: {{ include "touchline.name" . }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "touchline.labels" . | nindent 2 }}
{{- end }}

{{/* Annotations of what an uninstallation leaves behind: volumes, and the generated credentials of the data on them. */}}
{{- define "touchline.keep" -}}
annotations:
  helm.sh/resource-policy: keep
{{- end }}

{{/* (list $ "serving"): the image of one Dockerfile target. */}}
{{- define "touchline.image" -}}
{{- $image := ((index . 0).Values.global).image | default dict -}}
{{- printf "%s-%s:%s" ($image.repository | default "touchline") (index . 1) ($image.tag | default (index . 0).Chart.AppVersion) -}}
{{- end }}

{{- define "touchline.pullPolicy" -}}
{{- ((.Values.global).image).pullPolicy | default "IfNotPresent" -}}
{{- end }}

{{/* (list $ "broker"): the Secret of a connection: the existing one if named, otherwise the one of this release. */}}
{{- define "touchline.secret" -}}
{{- $given := index ((((index . 0).Values.global).existingSecrets) | default dict) (index . 1) -}}
{{- $given | default (include "touchline.name" (list (index . 0) (kebabcase (index . 1)))) -}}
{{- end }}

{{/* (list $ "name" "key" fallback): a value of an existing Secret, or else the fallback. Upgrades keep the generated
     values of the installation; `helm template` sees no cluster and generates new ones. */}}
{{- define "touchline.kept" -}}
{{- $root := index . 0 -}}
{{- $there := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- $value := index (($there | default dict).data | default dict) (index . 2) -}}
{{- if $value }}{{ b64dec $value }}{{ else }}{{ index . 3 }}{{ end -}}
{{- end }}
