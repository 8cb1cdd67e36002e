{{/*
Triggers of a workload whose autoScalingSpec has bounds and no trigger. They read the engines' metrics as this chart's
collectors label them. An empty answer is an error there and not a zero: when Prometheus loses the workers, their number
stays as it is.
*/}}

{{/* Takes {root, place} → JSON list. */}}
{{- define "dpd.autoscaling.defaults" -}}
{{- $targets := .root.Values.autoscaling.targets -}}
{{- if eq .place.role "router" -}}
{{ list (dict
  "type" "cpu"
  "metricType" "Utilization"
  "metadata" (dict "containerName" "router-container" "value" (toString $targets.routerCpuPercent))) | toJson }}
{{- else -}}
{{- $series := include "dpd.autoscaling.series" . -}}
{{- $triggers := list -}}
{{- if eq .place.role "decode" -}}
  {{- $facts := include "dpd.role" (dict "root" .root "role" "decode") | fromJson -}}
  {{- $running := max 1 (floor (mulf $targets.runningShare (get $facts.flags "max-num-seqs" | float64))) -}}
  {{- $triggers = append $triggers (list "running" (printf "sum(vllm:num_requests_running%s)" $series) $running) -}}
  {{- with include "dpd.autoscaling.buffer" .root -}}
    {{- $use := printf "sum(max by (pod_name) (lmcache:local_cache_usage%s)) / %s" $series . -}}
    {{- $triggers = append $triggers (list "buffer" $use $targets.bufferShare) -}}
  {{- end -}}
{{- else -}}
  {{- $triggers = append $triggers (list "waiting" (printf "sum(vllm:num_requests_waiting%s)" $series) $targets.waiting) -}}
{{- end -}}
{{- $drawn := list -}}
{{- $context := . -}}
{{- range $triggers -}}
  {{- $trigger := include "dpd.autoscaling.prometheus" (merge (dict "trigger" (dict "query" (index . 1) "targetValue" (index . 2))) $context) | fromJson -}}
  {{- $_ := set $trigger "name" (first .) -}}
  {{- $_ := set $trigger "metricType" "AverageValue" -}}
  {{- $_ := set $trigger.metadata "ignoreNullValues" "false" -}}
  {{- $drawn = append $drawn $trigger -}}
{{- end -}}
{{ toJson $drawn }}
{{- end -}}
{{- end }}

{{/* The label matchers of one role's engines. */}}
{{- define "dpd.autoscaling.series" -}}
{{- $matchers := list (printf "namespace=%q" (include "dpd.namespace" .root)) (printf "resource_name=%q" (include "dpd.name" .root)) -}}
{{- if ne .place.role "worker" }}{{ $matchers = append $matchers (printf "dpd_role=%q" .place.role) }}{{ end -}}
{ {{- join "," $matchers -}} }
{{- end }}

{{/* Bytes of a decoder's transfer buffer per rank, as the environment has them; nothing when they come from elsewhere, or there is no such buffer. */}}
{{- define "dpd.autoscaling.buffer" -}}
{{- if ne (include "dpd.transfer.nixl" .) "true" -}}
{{- $bytes := "8589934592" -}}
{{- $known := dict -}}
{{- range .Values.worker.environmentVariables -}}
  {{- if has .name (list "PD_BUFFER_SIZE" "LMCACHE_PD_BUFFER_SIZE") -}}
    {{- $_ := set $known .name (ternary (.value | default "" | toString) "" (empty .valueFrom)) -}}
  {{- end -}}
{{- end -}}
{{- range list "PD_BUFFER_SIZE" "LMCACHE_PD_BUFFER_SIZE" -}}
  {{- if and (hasKey $known .) (ne (get $known .) "$(PD_BUFFER_SIZE)") }}{{ $bytes = get $known . }}{{ end -}}
{{- end -}}
{{ if regexMatch "^[1-9][0-9]*$" $bytes }}{{ $bytes }}{{ end }}
{{- end -}}
{{- end }}
