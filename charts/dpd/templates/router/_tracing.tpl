{{/*
Traces of requests: the router sends them, by default to the collector beside it, which passes them on to exporters that the
values name.
*/}}

{{/* Whether they go to the collector beside the router. */}}
{{- define "dpd.tracing.collected" -}}
{{- if and .Values.router.tracing.enabled (not .Values.router.tracing.endpoint) (eq (include "dpd.metrics.enabled" .) "true") }}true{{ end -}}
{{- end }}

{{/* The section of the router's file as JSON; empty when there are no traces. */}}
{{- define "dpd.tracing.section" -}}
{{- with .Values.router.tracing -}}
{{- $section := dict -}}
{{- if .enabled }}{{ $section = dict "endpoint" (.endpoint | default "http://127.0.0.1:4318") "ratio" .ratio }}{{ end -}}
{{ toJson $section }}
{{- end -}}
{{- end }}

{{/* The collector's exporters of traces by their ids, as JSON; none when no traces come its way. */}}
{{- define "dpd.tracing.exporters" -}}
{{ ternary .Values.router.tracing.exporters dict (eq (include "dpd.tracing.collected" .) "true") | toJson }}
{{- end }}

{{/* Where the collector beside the router has the variables that exporters ask for. */}}
{{- define "dpd.tracing.envFrom" -}}
{{- if and (eq (include "dpd.tracing.collected" .) "true") .Values.router.tracing.existingSecret }}
- secretRef: {name: {{ .Values.router.tracing.existingSecret }}}
{{- end }}
{{- end }}

{{- define "dpd.check.router.tracing" -}}
{{- with .Values.router.tracing -}}
{{- if and .enabled (not .endpoint) -}}
{{- if ne (include "dpd.metrics.enabled" $) "true" }}
router.tracing.endpoint: required while metrics.enabled is false, for there is no collector beside the router; name one that takes OTLP over HTTP
{{- else if not .exporters }}
router.tracing.exporters: required where traces go to the collector beside the router; name the collector's exporters, such as {otlphttp: {endpoint: "http://tempo.monitoring:4318"}}, or set router.tracing.endpoint
{{- end -}}
{{- end -}}
{{- range $id, $_ := .exporters -}}
{{- if regexMatch "^prometheus(/|$)" $id }}
router.tracing.exporters.{{ $id }}: takes no traces; name an exporter that does, such as otlphttp
{{- end -}}
{{- end -}}
{{- if and .endpoint (or .exporters .existingSecret) }}
router.tracing.endpoint: {{ .endpoint | toJson }} gets the traces past the collector, whose exporters and Secret are set; keep one or the other
{{- end -}}
{{- end -}}
{{- end }}
