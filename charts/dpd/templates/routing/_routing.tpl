{{/* How requests find their worker: the section `routing` of the router's file, and what kvaware asks of workers. */}}

{{/* The manifest's strategy, unless the chart's own key names one that a manifest cannot. */}}
{{- define "dpd.routing.strategy" -}}
{{ .Values.router.routing.strategy | default (.Values.intelligentRoutingSpec | default dict).routingStrategy | default "prefixaware" }}
{{- end }}

{{/* Takes {root, role} → the strategy that chooses among the role's workers. */}}
{{- define "dpd.routing.of" -}}
{{- if eq .role "decode" -}}
{{ .root.Values.router.routing.decodeStrategy }}
{{- else -}}
{{ include "dpd.routing.strategy" .root }}
{{- end -}}
{{- end }}

{{/* The strategies in use → "kvaware leastload". */}}
{{- define "dpd.routing.used" -}}
{{ include "dpd.routing.strategy" . }}{{ if .Values.pdSpec }} {{ .Values.router.routing.decodeStrategy }}{{ end }}
{{- end }}

{{/* Takes {root, role} → "true" when the role's workers tell the router of their caches. */}}
{{- define "dpd.routing.told" -}}
{{- if and (eq (include "dpd.router.enabled" .root) "true") (eq (include "dpd.routing.of" .) "kvaware") }}true{{ end -}}
{{- end }}

{{/* What differs from the router's own defaults, and nothing that no strategy in use asks for. Under pdSpec the threshold, too. */}}
{{- define "dpd.routing.section" -}}
{{- $own := .Values.router.routing -}}
{{- $used := include "dpd.routing.used" . | splitList " " -}}
{{- $section := dict "strategy" (include "dpd.routing.strategy" .) -}}
{{- if .Values.pdSpec -}}
  {{- $_ := set $section "threshold" (include "dpd.router.threshold" . | int) -}}
  {{- if ne $own.decodeStrategy "leastload" }}{{ $_ := set $section "decodeStrategy" $own.decodeStrategy }}{{ end -}}
  {{- $gates := dict -}}
  {{- if $own.gates.idleDecoder }}{{ $_ := set $gates "idleDecoder" true }}{{ end -}}
  {{- if not (kindIs "invalid" $own.gates.queueRatio) }}{{ $_ := set $gates "queueRatio" $own.gates.queueRatio }}{{ end -}}
  {{- if $gates }}{{ $_ := set $section "gates" $gates }}{{ end -}}
{{- end -}}
{{- if has "session" $used }}{{ $_ := set $section "session" (pick $own.session "header" "user" "cookie") }}{{ end -}}
{{- if has "kvaware" $used -}}
  {{- $told := $own.kvEvents -}}
  {{- $_ := set $section "kvEvents" (dict "port" (int $told.port) "replayPort" (int $told.replayPort) "maxBlocks" (int $told.maxBlocks)) -}}
{{- end -}}
{{- with include "dpd.routing.tokenizer" . }}{{ $_ := set $section "tokenizer" (fromJson .) }}{{ end -}}
{{- if $own.explain }}{{ $_ := set $section "explain" true }}{{ end -}}
{{ toJson $section }}
{{- end }}

{{- define "dpd.routing.tokenizer" -}}
{{- $own := .Values.router.routing.tokenizer -}}
{{- if $own.mode -}}
  {{- $section := dict "mode" $own.mode -}}
  {{- if eq $own.mode "file" }}{{ $_ := set $section "path" "/etc/dpd-tokenizer" }}{{ end -}}
  {{- if ne $own.mode "estimate" }}{{ $_ := set $section "timeoutSeconds" $own.timeoutSeconds }}{{ end -}}
  {{ toJson $section }}
{{- end -}}
{{- end }}

{{/* Takes {root, role} → JSON list of what the role's engine is told for it. */}}
{{- define "dpd.routing.args" -}}
{{- if eq (include "dpd.routing.told" .) "true" -}}
  {{- $ports := .root.Values.router.routing.kvEvents -}}
  {{- $config := dict
    "enable_kv_cache_events" true
    "publisher" "zmq"
    "endpoint" (printf "tcp://*:%d" (int $ports.port))
    "replay_endpoint" (printf "tcp://*:%d" (int $ports.replayPort)) -}}
  {{ list "--kv-events-config" (toJson $config) | toJson }}
{{- else -}}
  []
{{- end -}}
{{- end }}

{{/* Takes {root, role, workloads} → the rule that lets the router listen, or nothing. */}}
{{- define "dpd.routing.network" -}}
{{- if eq (include "dpd.routing.told" .) "true" }}
{{- $ports := .root.Values.router.routing.kvEvents }}
- ports:
    - {port: {{ int $ports.port }}, protocol: TCP}
    - {port: {{ int $ports.replayPort }}, protocol: TCP}
  from:
    - {{- include "dpd.network.peer" .workloads.router | nindent 6 }}
{{- end }}
{{- end }}

{{- define "dpd.routing.mounts" -}}
{{- if eq .Values.router.routing.tokenizer.mode "file" }}
- name: tokenizer
  mountPath: /etc/dpd-tokenizer
  {{- with .Values.router.routing.tokenizer.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "dpd.routing.volumes" -}}
{{- if eq .Values.router.routing.tokenizer.mode "file" }}
- name: tokenizer
  persistentVolumeClaim:
    claimName: {{ .Values.router.routing.tokenizer.existingClaim | quote }}
    readOnly: true
{{- end }}
{{- end }}
