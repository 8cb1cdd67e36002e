{{/* The router: whether there is one, and the file it reads. */}}

{{- define "dpd.router.enabled" -}}
{{- if or .Values.pdSpec (.Values.intelligentRoutingSpec | default dict).enabled }}true{{ end -}}
{{- end }}

{{/* One leading slash, however the manifest writes it. */}}
{{- define "dpd.router.invocationPath" -}}
/{{ trimAll "/" (.Values.invocationEndpoint | default "invocations") }}
{{- end }}

{{/* Tokens from which a prompt is prefilled elsewhere; 0, which means always, is a value too. */}}
{{- define "dpd.router.threshold" -}}
{{ int (ternary 4096 .Values.pdSpec.routingThreshold (kindIs "invalid" .Values.pdSpec.routingThreshold)) }}
{{- end }}

{{/* What is left of the grace period after the drain, and a little to leave in. */}}
{{- define "dpd.router.grace" -}}
{{ max 1 (sub (int .Values.terminationGracePeriodSeconds) (int .Values.drainSeconds) | add -5) }}
{{- end }}

{{- define "dpd.router.file" -}}
{{ include "dpd.once" (dict "root" . "helper" "dpd.router.file.text" "with" .) }}
{{- end }}

{{- define "dpd.router.file.text" -}}
{{- $root := . -}}
{{- $file := dict
  "listen" (dict "host" "0.0.0.0" "port" 8080)
  "endpoint" (dict
    "name" (include "dpd.name" .)
    "namespace" (include "dpd.namespace" .)
    "invocationPath" (include "dpd.router.invocationPath" .))
  "discovery" (include "dpd.discovery.section" . | fromJson)
  "health" (dict "path" (include "dpd.healthPath" .))
  "timeouts" (dict "graceSeconds" (include "dpd.router.grace" . | int))
  "routing" (include "dpd.routing.section" . | fromJson) -}}
{{- with include "dpd.edge.keepAlive" . | int }}{{ if ne . 75 }}{{ $_ := set $file.timeouts "idleSeconds" . }}{{ end }}{{ end -}}
{{- with .Values.endpointName }}{{ $_ := set $file "sagemaker" (dict "endpointName" .) }}{{ end -}}
{{- $roles := list "worker" -}}
{{- if .Values.pdSpec -}}
  {{- $roles = list "prefill" "decode" -}}
  {{- $_ := set $file "transfer" (include "dpd.transfer.section" . | fromJson) -}}
{{- end -}}
{{- $pools := dict -}}
{{- range $roles -}}
  {{- $_ := set $pools . (list (include "dpd.discovery.entry" (dict "root" $root "role" .) | fromJson)) -}}
{{- end -}}
{{- $_ := set $file "pools" $pools -}}
{{- $_ := set $file "timeouts" (merge (include "dpd.router.surface.timeouts" . | fromJson) $file.timeouts) -}}
{{- range $name := list "timeouts" "health" "ejection" "fallback" -}}
  {{- with get $root.Values.router $name }}{{ $_ := set $file $name (merge (deepCopy .) (get $file $name | default dict)) }}{{ end -}}
{{- end -}}
{{ merge $file (include "dpd.router.surface" . | fromJson) | toYaml }}
{{- end }}
