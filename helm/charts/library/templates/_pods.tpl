{{/* Fields that every pod of the release has. (list $ "component" uid), and true as a fourth item if the pod uses the Kubernetes API. */}}
{{- define "touchline.pod" -}}
{{- $root := index . 0 -}}
{{- $uid := index . 2 | int -}}
{{- $global := $root.Values.global | default dict -}}
automountServiceAccountToken: {{ gt (len .) 3 }}
# With service links, a release named touchline would set TOUCHLINE_API_PORT=tcp://… in every pod.
enableServiceLinks: false
securityContext:
  {{- include "touchline.podSecurity" $uid | nindent 2 }}
{{- with $global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $global.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $global.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $global.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "touchline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "touchline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The user of our own images. */}}
{{- define "touchline.uid" -}}10001{{- end }}

{{/* Spread over nodes and zones without making a one-node cluster unschedulable. (list $ "component") */}}
{{- define "touchline.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "touchline.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* (list $ "component" replicas): only with more than one replica, so that one pod can stay. Pods that a volume holds on
     one node have none, see touchline.lake.pdb. */}}
{{- define "touchline.pdb" -}}
{{- if gt (int (index . 2)) 1 }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "touchline.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "touchline.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* (list $ "component"): the replicas of a Deployment that an autoscaler scales. None, except where they would otherwise fall
     to one when the values leave fixed replicas to the autoscaler: then those that run, until it has set a number. Helm 4
     takes a field away only if it alone has set it; Helm 3 if the manifest before had it, so there they always stay. */}}
{{- define "touchline.runningReplicas" -}}
{{- with lookup "apps/v1" "Deployment" (index . 0).Release.Namespace (include "touchline.name" .) -}}
{{- $applied := false -}}
{{- $scaled := false -}}
{{- range .metadata.managedFields -}}
{{- if and (eq .operation "Apply") (not .subresource) }}{{ $applied = true }}{{ end -}}
{{- if and (eq (.subresource | default "") "scale") (hasKey (get .fieldsV1 "f:spec" | default dict) "f:replicas") }}{{ $scaled = true }}{{ end -}}
{{- end -}}
{{- if not (and $applied $scaled) -}}
replicas: {{ .spec.replicas }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* (list $ "component" autoscaling): an HPA on CPU that scales down slowly. */}}
{{- define "touchline.hpa" -}}
{{- $scaling := index . 2 -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "touchline.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "touchline.name" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.cpuUtilization }}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 0
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
        - type: Pods
          value: 1
          periodSeconds: 60
{{- end }}
