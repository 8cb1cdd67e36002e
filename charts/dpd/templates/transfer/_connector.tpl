{{/*
How KV moves, and what that means to engines and router. lmcache: prefillers write into decoders' buffers, and tell the
router. nixl: vLLM's own NixlConnector; decoders fetch from prefillers, and the two may have different numbers of ranks.
*/}}

{{/* "true" under pdSpec with vLLM's own connector. */}}
{{- define "dpd.transfer.nixl" -}}
{{- if .Values.pdSpec }}{{ if eq .Values.transfer.connector "nixl" }}true{{ end }}{{ end -}}
{{- end }}

{{/* "true" under pdSpec with LMCache's transfer. */}}
{{- define "dpd.transfer.lmcache" -}}
{{- if .Values.pdSpec }}{{ if eq .Values.transfer.connector "lmcache" }}true{{ end }}{{ end -}}
{{- end }}

{{/* NIXL's backend on the fabric. */}}
{{- define "dpd.transfer.backend" -}}
{{ ternary "LIBFABRIC" "UCX" (eq .Values.transfer.fabric "efa") }}
{{- end }}

{{/* Takes {root, row} → JSON of --kv-transfer-config, from the row's entry for the connector; "null" for no connector. */}}
{{- define "dpd.transfer.engine" -}}
{{- if eq (include "dpd.transfer.nixl" .root) "true" -}}
{{- merge (dict
  "kv_buffer_device" .root.Values.transfer.bufferDevice
  "kv_connector_extra_config" (dict "backends" (list (include "dpd.transfer.backend" .root)))) .row.nixl | toJson -}}
{{- else if eq (include "dpd.lmcache.enabled" .root) "true" -}}
{{- include "dpd.cache.kvTransfer" . -}}
{{- else -}}
null
{{- end -}}
{{- end }}

{{/* JSON list of name and value: what engines read beside their arguments. */}}
{{- define "dpd.transfer.env" -}}
{{- $pairs := list -}}
{{- if eq (include "dpd.transfer.nixl" .) "true" -}}
  {{- $pairs = append $pairs (list "VLLM_NIXL_SIDE_CHANNEL_HOST" "$(POD_IP)") -}}
  {{- $pairs = append $pairs (list "VLLM_NIXL_SIDE_CHANNEL_PORT" (int .Values.transfer.sideChannelPort | toString)) -}}
{{- else if .Values.pdSpec -}}
  {{- $pairs = append $pairs (list "LMCACHE_PD_BUFFER_SIZE" "$(PD_BUFFER_SIZE)") -}}
  {{- $pairs = append $pairs (list "LMCACHE_PD_PEER_HOST" "$(POD_IP)") -}}
  {{- $pairs = append $pairs (list "LMCACHE_SAVE_DECODE_CACHE" "False") -}}
{{- end -}}
{{ toJson $pairs }}
{{- end }}

{{/* JSON of {most, surge}: routers there may be, and those that come before others leave while they are replaced. */}}
{{- define "dpd.transfer.routers" -}}
{{- $scaling := include "dpd.autoscaling" (dict "root" . "role" "router") | fromJson -}}
{{- dict "most" (int (ternary $scaling.max .Values.router.replicas (hasKey $scaling "max"))) "surge" 1 | toJson -}}
{{- end }}

{{/*
The router's section, as JSON. Each router owns its share of every buffer. A prefiller's ranks tell one router of several that a
transfer is complete, whichever they are connected to, so where there are several none waits for it: the prefiller's
answer comes after its writes.
*/}}
{{- define "dpd.transfer.section" -}}
{{- if eq (include "dpd.transfer.nixl" .) "true" -}}
{"connector": "nixl"}
{{- else -}}
{{- $ranks := (include "dpd.role" (dict "root" . "role" "decode") | fromJson).ranks -}}
{{- $routers := include "dpd.transfer.routers" . | fromJson -}}
{{- $section := dict
  "connector" .Values.transfer.connector
  "initPorts" (include "dpd.lmcache.ports" (dict "first" .Values.transfer.initPort "count" $ranks) | fromJsonArray)
  "allocPorts" (include "dpd.lmcache.ports" (dict "first" .Values.transfer.allocPort "count" $ranks) | fromJsonArray)
  "notify" (dict "host" "0.0.0.0" "port" (int .Values.transfer.notifyPort))
  "confirm" (eq (int $routers.most) 1)
  "routers" (dict "most" (int $routers.most) "surge" (int $routers.surge)) -}}
{{- $bytes := include "dpd.autoscaling.buffer" . -}}
{{- if .Values.transfer.pagesPerDecoder -}}
  {{- $_ := set $section "pagesPerDecoder" (int .Values.transfer.pagesPerDecoder) -}}
{{- end -}}
{{- if $bytes -}}
  {{- $_ := set $section "bufferBytes" (int64 $bytes) -}}
{{- end -}}
{{ toJson $section }}
{{- end -}}
{{- end }}
