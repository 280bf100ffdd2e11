{{- define "rabbitmq.conf" -}}
default_queue_type = quorum
quorum_queue.property_equivalence.relaxed_checks_on_redeclaration = true
queue_leader_locator = balanced
cluster_partition_handling = pause_minority
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 1GB
prometheus.return_per_object_metrics = false
{{- end }}

{{/* Bytes of a memory quantity, for programs that do not support Kubernetes' units. */}}
{{- define "rabbitmq.bytes" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $unit := regexFind "[A-Za-z]*$" (toString .) -}}
{{- mulf (trimSuffix $unit (toString .) | float64) (get $units $unit | default 1) | int64 -}}
{{- end }}
