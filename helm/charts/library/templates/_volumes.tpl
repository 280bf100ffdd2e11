{{/* Claims outlive the release: neither Helm nor scaling down deletes them. (list size class) */}}
{{- define "touchline.claim" -}}
accessModes: [ReadWriteOnce]
{{- with index . 1 }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ index . 0 }}
{{- end }}

{{/* Bytes of a quantity. */}}
{{- define "touchline.bytes" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $unit := regexFind "[A-Za-z]*$" (toString .) -}}
{{- mulf (trimSuffix $unit (toString .) | float64) (get $units $unit | default 1) | int64 -}}
{{- end }}

{{/* (list $ "postgresql" values): refuse a size or class that Kubernetes would refuse in the middle of an upgrade, when the
     databases are migrated already. A StatefulSet's claims never change; a claim that it left behind must be large enough. */}}
{{- define "touchline.checkSetVolumes" -}}
{{- $root := index . 0 -}}
{{- $name := include "touchline.name" . -}}
{{- $path := printf "%s.persistence" (index . 1) -}}
{{- $wanted := index . 2 -}}
{{- $set := lookup "apps/v1" "StatefulSet" $root.Release.Namespace $name -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace (printf "data-%s-0" $name) -}}
{{- if $set -}}
{{- $there := (first $set.spec.volumeClaimTemplates).spec -}}
{{- $size := $there.resources.requests.storage -}}
{{- if ne (include "touchline.bytes" $size) (include "touchline.bytes" $wanted.size) -}}
{{- fail (printf "%s.size is %s, but the volumes of %s were made with %s, and a StatefulSet cannot change them. Nothing was changed. Keep %s, or grow the volumes as in the README of the chart (Grow a volume)" $path $wanted.size $name $size $size) -}}
{{- end -}}
{{- include "touchline.checkClass" (list $path $wanted.storageClass $name ($there.storageClassName | default "")) -}}
{{- else if $claim -}}
{{- $size := $claim.spec.resources.requests.storage -}}
{{- if gt (include "touchline.bytes" $wanted.size | int64) (include "touchline.bytes" $size | int64) -}}
{{- fail (printf "%s.size is %s, but the volume data-%s-0 of an earlier installation has %s. Nothing was changed. Set %s, or grow the volume first (Grow a volume in the README of the chart)" $path $wanted.size $name $size $size) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* (list $ "lake" path values): the same for a claim of the chart itself, which may grow but not shrink. */}}
{{- define "touchline.checkClaim" -}}
{{- $name := include "touchline.name" . -}}
{{- $path := index . 2 -}}
{{- $wanted := index . 3 -}}
{{- with lookup "v1" "PersistentVolumeClaim" (index . 0).Release.Namespace $name -}}
{{- $size := .spec.resources.requests.storage -}}
{{- if lt (include "touchline.bytes" $wanted.size | int64) (include "touchline.bytes" $size | int64) -}}
{{- fail (printf "%s.size is %s, but the volume %s has %s, and a volume cannot shrink. Nothing was changed. Set %s" $path $wanted.size $name $size $size) -}}
{{- end -}}
{{- if $wanted.storageClass -}}
{{- include "touchline.checkClass" (list $path $wanted.storageClass $name (.spec.storageClassName | default "")) -}}
{{- end -}}
{{- if and $wanted.accessMode (not (has $wanted.accessMode .spec.accessModes)) -}}
{{- fail (printf "%s.accessMode is %s, but the volume %s has %s, and a volume cannot change it. Nothing was changed. Copy the data to a new volume (Move a volume in the README of the chart)" $path $wanted.accessMode $name (first .spec.accessModes)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "touchline.checkClass" -}}
{{- if ne (index . 1) (index . 3) -}}
{{- fail (printf "%s.storageClass is %q, but the volume of %s has %q, and a volume cannot change it. Nothing was changed. Keep it, or copy the data to a new volume (Move a volume in the README of the chart)" (index . 0) (index . 1) (index . 2) (index . 3)) -}}
{{- end -}}
{{- end }}

{{/* (list $ "postgresql" "mlflowDatabase"): refuse to generate a password for data that was written with another one. */}}
{{- define "touchline.checkCredentials" -}}
{{- $root := index . 0 -}}
{{- if not (index ((($root.Values.global).existingSecrets) | default dict) (index . 2)) -}}
{{- $claim := printf "data-%s-0" (include "touchline.name" .) -}}
{{- $secret := include "touchline.secret" (list $root (index . 2)) -}}
{{- if and (lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace $claim) (not (lookup "v1" "Secret" $root.Release.Namespace $secret)) -}}
{{- fail (printf "the volume %s of an earlier installation is there, but not its Secret %s: a new password would not open the data. Nothing was changed. Restore the Secret, or name yours in global.existingSecrets.%s, or delete the volume if its data may go (Lost credentials in the README of the chart)" $claim $secret (index . 2)) -}}
{{- end -}}
{{- end -}}
{{- end }}
