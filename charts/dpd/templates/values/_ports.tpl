{{/* Ports of the transfer: no two listeners of a pod on one port, and no port beyond the last. Only under pdSpec, of LMCache's. */}}

{{- define "dpd.check.ports" -}}
{{- if eq (include "dpd.transfer.lmcache" .) "true" -}}
{{- $ranks := int (include "dpd.role" (dict "root" . "role" "decode") | fromJson).ranks -}}
{{- $engine := dict (int .Values.worker.modelInvocationPort.containerPort | toString) "the engine" -}}
{{- $collector := dict "9464" "the collector" "13133" "the collector's health check" -}}
{{- $decoder := merge (dict "8081" "the reverse proxy" "9113" "the reverse proxy's metrics") $collector $engine -}}
{{- range $key := list "initPort" "allocPort" -}}
{{- $first := int (get $.Values.transfer $key) -}}
{{- $last := int (sub (add $first $ranks) 1) -}}
{{- if gt $last 65535 }}
transfer.{{ $key }}: {{ $first }} is the first of {{ $ranks }} ports, one per rank, and 65535 is the last there is; use at most {{ sub 65536 $ranks }}
{{- end -}}
{{- range $port := keys $decoder | sortAlpha -}}
{{- if and (ge (int $port) $first) (le (int $port) $last) }}
transfer.{{ $key }}: {{ $first }} is the first of {{ $ranks }} ports, one per rank, and {{ $port }} is taken in a decoder's pod by {{ get $decoder $port }}; move them
{{- end -}}
{{- end -}}
{{- end -}}
{{- $traces := ternary (dict "4318" "OTLP over HTTP") dict (eq (include "dpd.tracing.collected" .) "true") -}}
{{- with get (merge (dict "8080" "requests" "9090" "the router's metrics") $traces $collector) (int .Values.transfer.notifyPort | toString) }}
transfer.notifyPort: {{ int $.Values.transfer.notifyPort }} is taken in the router's pod by {{ . }}; use another port
{{- end -}}
{{- end -}}
{{- end }}
