{{/* Checks of the connector; only under pdSpec. */}}

{{- define "dpd.check.connector" -}}
{{- if eq (include "dpd.transfer.nixl" .) "true" -}}
{{- if eq (include "dpd.transfer.cached" .) "true" }}
kvCacheSpec: asks for LMCache's cache, and transfer.connector nixl runs without LMCache; remove kvCacheSpec, or set transfer.connector to lmcache
{{- end -}}
{{- $engine := int .Values.worker.modelInvocationPort.containerPort -}}
{{- $taken := dict "8081" "the reverse proxy" "9113" "the reverse proxy's metrics" "9464" "the collector" "13133" "the collector's health check" (toString $engine) "the engine" -}}
{{- with get $taken (int .Values.transfer.sideChannelPort | toString) }}
transfer.sideChannelPort: {{ int $.Values.transfer.sideChannelPort }} is taken in a worker's pod by {{ . }}; use another port
{{- end -}}
{{- end -}}
{{- end }}

{{/* "true" when kvCacheSpec wants a cache outside the engine. */}}
{{- define "dpd.transfer.cached" -}}
{{- if kindIs "map" .Values.kvCacheSpec -}}
{{- if or (ne (get .Values.kvCacheSpec "enableL1Cache" | toString) "false") (eq (get .Values.kvCacheSpec "enableL2Cache" | toString) "true") }}true{{ end -}}
{{- end -}}
{{- end }}
