{{- define "rabbitmq.conf" -}}
default_queue_type = quorum
quorum_queue.property_equivalence.relaxed_checks_on_redeclaration = true
queue_leader_locator = balanced
cluster_partition_handling = pause_minority
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 1GB
prometheus.return_per_object_metrics = false
{{- end }}
