{{/* What the collectors do: scrape what is beside them, serve it all on one port. */}}

{{/* JSON list of EnvVar. Takes {root, facts}: a worker's; without facts, the router's. */}}
{{- define "dpd.collector.env" -}}
{{- $env := list
  (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "NODE_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "spec.nodeName"))) -}}
{{- with .facts }}{{ if ne .role "worker" }}{{ $env = append $env (dict "name" "DPD_ROLE" "value" .role) }}{{ end }}{{ end -}}
{{ toJson $env }}
{{- end }}

{{- define "dpd.collector.interval" -}}
{{ int ((.Values.metrics | default dict).metricsScrapeIntervalSeconds | default 15) }}s
{{- end }}

{{/*
The engine's metrics. modelMetrics.port is the engine's own port unless the manifest names another: the contract's default,
8080, is where no vLLM listens.
*/}}
{{- define "dpd.collector.engineTarget" -}}
127.0.0.1:{{ int (((.Values.metrics | default dict).modelMetrics | default dict).port | default .Values.worker.modelInvocationPort.containerPort) }}
{{- end }}

{{/* Takes the root → the worker collector's configuration. ${env:…} is expanded by the collector. */}}
{{- define "dpd.collector.file" -}}
{{ include "dpd.once" (dict "root" . "helper" "dpd.collector.file.text" "with" .) }}
{{- end }}

{{- define "dpd.collector.file.text" -}}
{{- $labels := include "dpd.metrics.labels" (dict "root" . "facts" (dict "role" "worker")) | fromJson -}}
{{- $_ := set $labels "pod_name" "${env:POD_NAME}" -}}
{{- $_ := set $labels "node_name" "${env:NODE_NAME}" -}}
{{- $_ := set $labels "metric_source" "model-container" -}}
{{- if .Values.pdSpec }}{{ $_ := set $labels "dpd_role" "${env:DPD_ROLE}" }}{{ end -}}
{{- range $name, $value := $labels }}{{ if not $value }}{{ $_ := unset $labels $name }}{{ end }}{{ end -}}
{{- $jobs := list
  (dict "job_name" "reverse-proxy"
    "static_configs" (list (dict "targets" (list "127.0.0.1:9113"))))
  (dict "job_name" "model"
    "metrics_path" (((.Values.metrics | default dict).modelMetrics | default dict).path | default "/metrics")
    "static_configs" (list (dict "targets" (list (include "dpd.collector.engineTarget" .)) "labels" $labels))) -}}
{{ include "dpd.collector.config.base" (dict "root" . "jobs" $jobs) }}
{{- end }}

{{- define "dpd.collector.routerFile" -}}
{{ include "dpd.once" (dict "root" . "helper" "dpd.collector.routerFile.text" "with" .) }}
{{- end }}

{{- define "dpd.collector.routerFile.text" -}}
{{- $labels := dict
  "resource_name" (include "dpd.name" .)
  "namespace" (include "dpd.namespace" .)
  "model_name" .Values.modelName
  "pod_name" "${env:POD_NAME}"
  "node_name" "${env:NODE_NAME}"
  "metric_source" "router" -}}
{{- range $name, $value := .Values.monitoring.labels }}{{ if $value }}{{ $_ := set $labels $name $value }}{{ end }}{{ end -}}
{{- $jobs := list (dict "job_name" "router" "static_configs" (list (dict "targets" (list "127.0.0.1:9090") "labels" $labels))) -}}
{{ include "dpd.collector.config.base" (dict "root" . "jobs" $jobs "traces" (include "dpd.tracing.exporters" . | fromJson)) }}
{{- end }}

{{/* Takes {root, jobs, traces}: traces are exporters of what comes by OTLP. */}}
{{- define "dpd.collector.config.base" -}}
{{- $interval := include "dpd.collector.interval" .root -}}
{{- $receivers := dict "prometheus" (dict "config" (dict "global" (dict "scrape_interval" $interval) "scrape_configs" .jobs)) -}}
{{- $exporters := dict "prometheus" (dict "endpoint" "0.0.0.0:9464") -}}
{{- $pipelines := dict "metrics" (dict "receivers" (list "prometheus") "processors" (list "memory_limiter") "exporters" (list "prometheus")) -}}
{{- with .traces -}}
  {{- $_ := set $receivers "otlp" (dict "protocols" (dict "http" (dict "endpoint" "127.0.0.1:4318"))) -}}
  {{- $exporters = merge $exporters . -}}
  {{- $_ := set $pipelines "traces" (dict "receivers" (list "otlp") "processors" (list "memory_limiter") "exporters" (keys . | sortAlpha)) -}}
{{- end -}}
{{- include "dpd.files.lines" (dict
  "receivers" $receivers
  "processors" (dict "memory_limiter" (dict "check_interval" "1s" "limit_percentage" 80 "spike_limit_percentage" 20))
  "exporters" $exporters
  "extensions" (dict "health_check" (dict "endpoint" "0.0.0.0:13133"))
  "service" (dict
    "extensions" (list "health_check")
    "pipelines" $pipelines
    "telemetry" (dict "logs" (dict "level" "warn") "metrics" (dict "level" "none"))))
| trim }}
{{- end }}
