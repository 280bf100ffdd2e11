{{- define "rabbitmq.conf" -}}
default_queue_type = quorum
quorum_queue.property_equivalence.relaxed_checks_on_redeclaration = true
queue_leader_locator = balanced
# A queue that was declared before all nodes had joined would stay on the nodes of that moment, and be lost with them.
quorum_queue.continuous_membership_reconciliation.enabled = true
quorum_queue.continuous_membership_reconciliation.auto_remove = false
quorum_queue.continuous_membership_reconciliation.interval = 60000
quorum_queue.continuous_membership_reconciliation.trigger_interval = 10000
quorum_queue.continuous_membership_reconciliation.target_group_size = {{ .Values.replicas }}
cluster_partition_handling = pause_minority
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 1GB
prometheus.return_per_object_metrics = false
{{- end }}
