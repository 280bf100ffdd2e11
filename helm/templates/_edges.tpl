{{/* Every allowed connection. Each becomes an egress rule of its `from` and an ingress rule of its `to`. A name with a
     colon is not a pod: namespace:<name>, outside:<name of networkPolicy.external>. */}}
{{- define "edges" -}}
{{- $v := .Values -}}
{{- $broker := ternary "outside:broker" "rabbitmq" (eq $v.rabbitmq.mode "external") -}}
{{- $results := ternary "outside:results" "valkey" (eq $v.valkey.mode "external") -}}
{{- $database := ternary "outside:database" "postgresql" (eq $v.postgresql.mode "external") -}}
{{- $s3 := eq $v.global.lake.mode "s3" -}}
{{- range $client := list "api" "worker" }}
- {from: {{ $client }}, to: "{{ $broker }}", ports: [5672]}
- {from: {{ $client }}, to: "{{ $results }}", ports: [6379]}
{{- if $s3 }}
- {from: {{ $client }}, to: "outside:objectStorage"}
{{- end }}
{{- if (index $v $client).settings.otlpEndpoint }}
- {from: {{ $client }}, to: "outside:telemetry"}
{{- end }}
{{- end }}
{{- if $v.ui.enabled }}
- {from: ui, to: api, ports: [8000]}
{{- end }}
- {from: worker, to: mlflow, ports: [5000]}
- {from: test, to: api, ports: [8000]}
- {from: mlflow, to: "{{ $database }}", ports: [5432]}
- {from: mlflow-migration, to: "{{ $database }}", ports: [5432]}
- {from: dagster-migration, to: "{{ $database }}", ports: [5432]}
{{- if $v.mlflow.artifacts.destination }}
- {from: mlflow, to: "outside:objectStorage"}
{{- end }}
{{- range $client := list "dagster-webserver" "dagster-daemon" }}
- {from: {{ $client }}, to: dagster-code, ports: [3030]}
- {from: {{ $client }}, to: "{{ $database }}", ports: [5432]}
- {from: {{ $client }}, to: "outside:kubernetesApi"}
{{- end }}
{{- range $client := list "dagster-code" "dagster-run" }}
- {from: {{ $client }}, to: "outside:kubernetesApi"}
- {from: {{ $client }}, to: "{{ $database }}", ports: [5432]}
- {from: {{ $client }}, to: mlflow, ports: [5000]}
{{- if $s3 }}
- {from: {{ $client }}, to: "outside:objectStorage"}
{{- end }}
{{- if regexMatch "football_data|openfootball" $v.global.source }}
- {from: {{ $client }}, to: "outside:sources"}
{{- end }}
{{- end }}
{{- if ne $v.rabbitmq.mode "external" }}
- {from: rabbitmq, to: rabbitmq, ports: [4369, 25672]}
- {from: "namespace:{{ $v.networkPolicy.kedaNamespace }}", to: rabbitmq, ports: [5672]}
{{- end }}
{{- if eq $v.rabbitmq.mode "operator" }}
- {from: "namespace:{{ $v.networkPolicy.rabbitmqOperatorNamespace }}", to: rabbitmq, ports: [15672]}
{{- end }}
{{- if eq $v.postgresql.mode "cnpg" }}
- {from: "namespace:{{ $v.networkPolicy.cnpgNamespace }}", to: postgresql, ports: [5432, 8000]}
- {from: postgresql, to: postgresql, ports: [5432, 8000]}
{{- end }}
{{- if $v.monitoring.enabled }}
{{- $scraper := printf "namespace:%s" $v.networkPolicy.monitoringNamespace }}
- {from: "{{ $scraper }}", to: api, ports: [8000]}
- {from: "{{ $scraper }}", to: worker, ports: [9808]}
{{- if ne $v.rabbitmq.mode "external" }}
- {from: "{{ $scraper }}", to: rabbitmq, ports: [15692]}
{{- end }}
{{- end }}
{{- if $v.ingress.enabled }}
{{- range $part, $port := dict "api" 8000 "ui" 8501 "dagster" 3000 "mlflow" 5000 }}
{{- if include "touchline.ingressHost" (list $ $part) }}
- {from: "namespace:{{ $v.networkPolicy.ingressNamespace }}", to: {{ eq $part "dagster" | ternary "dagster-webserver" $part }}, ports: [{{ $port }}]}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* (list $ "component"): labels of a component's pods, whether this chart or an operator creates them. */}}
{{- define "edges.pods" -}}
{{- $v := (index . 0).Values -}}
{{- if and (eq (index . 1) "rabbitmq") (eq $v.rabbitmq.mode "operator") -}}
app.kubernetes.io/name: {{ include "touchline.name" . }}
{{- else if and (eq (index . 1) "postgresql") (eq $v.postgresql.mode "cnpg") -}}
cnpg.io/cluster: {{ include "touchline.name" . }}
{{- else -}}
{{ include "touchline.selector" . }}
{{- end -}}
{{- end }}

{{/* (list $ name): one end of an edge as a list of NetworkPolicy peers. */}}
{{- define "edges.peers" -}}
{{- $end := splitList ":" (index . 1) -}}
{{- if eq (first $end) "namespace" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ last $end }}
{{- else if eq (first $end) "outside" -}}
{{- range (index (index . 0).Values.networkPolicy.external (last $end)).cidrs }}
- ipBlock:
    cidr: {{ . }}
    {{- if eq . "0.0.0.0/0" }}
    # The cloud's metadata service is not needed, and it exposes the node's credentials.
    except: [169.254.169.254/32]
    {{- end }}
{{- end }}
{{- else -}}
- podSelector:
    matchLabels:
      {{- include "edges.pods" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* (list $ "broker"): the ports in the addresses of an external service, as far as the values give any, as a list. */}}
{{- define "edges.addressed" -}}
{{- $v := (index . 0).Values -}}
{{- $code := $v.dagster.settings -}}
{{- $addresses := dict
  "objectStorage" (list $v.global.lake.endpoint)
  "broker" (list $v.rabbitmq.external.url)
  "results" (list $v.valkey.external.url)
  "database" (list (printf "tcp://pg:%v" $v.postgresql.external.port))
  "sources" (list $code.footballDataUrl $code.openfootballUrl)
  "telemetry" (list $v.api.settings.otlpEndpoint $v.worker.settings.otlpEndpoint)
-}}
{{- $ports := list -}}
{{- range compact (index $addresses (index . 1) | default list) -}}
{{- $address := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $address.host | trimPrefix ":" -}}
{{- $ports = append $ports ($port | default (get (dict "http" "80" "https" "443") $address.scheme)) -}}
{{- end -}}
{{- compact $ports | toJson -}}
{{- end }}

{{/* (list $ edge): the ports of an edge. */}}
{{- define "edges.ports" -}}
{{- $edge := index . 1 -}}
{{- $ports := $edge.ports -}}
{{- if hasPrefix "outside:" $edge.to }}
{{- $name := trimPrefix "outside:" $edge.to }}
{{- $ports = (index (index . 0).Values.networkPolicy.external $name).ports }}
{{- range include "edges.addressed" (list (index . 0) $name) | fromJsonArray }}{{ $ports = append $ports . }}{{ end }}
{{- end }}
{{- $all := list }}
{{- range $ports }}{{ $all = append $all (int .) }}{{ end }}
{{- range uniq $all }}
- {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end }}

{{/* (list $ "api"): the host of a part's Ingress; empty if it is not exposed. */}}
{{- define "touchline.ingressHost" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 1) "mlflow" }}{{ $root.Values.mlflow.ingressHost }}{{ else }}{{ (index $root.Values.ingress (index . 1)).host }}{{ end -}}
{{- end }}
