{{/* LMCache: whether it runs, and the file it reads. */}}

{{/* "true" when the engine runs with LMCache: under pdSpec unless vLLM transfers by itself, else when the manifest asks for a cache. */}}
{{- define "dpd.lmcache.enabled" -}}
{{- if .Values.pdSpec -}}
{{ include "dpd.transfer.lmcache" . }}
{{- else if kindIs "map" .Values.kvCacheSpec -}}
{{- $own := include "dpd.args.has" (dict "args" (.Values.worker.args | default list) "key" "kv-transfer-config") -}}
{{- if and (not $own) (or (include "dpd.lmcache.l1" .) .Values.kvCacheSpec.enableL2Cache) }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* "true" when the CPU cache is on: kvCacheSpec is given and does not turn it off. */}}
{{- define "dpd.lmcache.l1" -}}
{{- if kindIs "map" .Values.kvCacheSpec }}{{ if ne (get .Values.kvCacheSpec "enableL1Cache" | toString) "false" }}true{{ end }}{{ end -}}
{{- end }}

{{/* Takes {first, count} → JSON list of one port per tensor-parallel rank. */}}
{{- define "dpd.lmcache.ports" -}}
{{- $first := int .first -}}
{{- $ports := list -}}
{{- range until (int .count) }}{{ $ports = append $ports (add $first .) }}{{ end -}}
{{ toJson $ports }}
{{- end }}

{{/* lmcache.yaml of a role. Takes {root, facts}. Buffer size and addresses come from the environment: see _env.tpl. */}}
{{- define "dpd.lmcache.file" -}}
{{- $values := .root.Values -}}
{{- $l1 := eq (include "dpd.lmcache.l1" .root) "true" -}}
{{- $file := dict "chunk_size" 256 "save_unfull_chunk" true "pre_caching_hash_algorithm" "builtin" -}}
{{- if ne .facts.pdRole "receiver" -}}
  {{- $_ := set $file "local_cpu" $l1 -}}
  {{- if $l1 }}{{ $_ := set $file "max_local_cpu_size" $values.cache.l1GiBPerRank }}{{ end -}}
{{- end -}}
{{- if .facts.pdRole -}}
  {{- $_ := merge $file (dict
    "enable_pd" true
    "pd_role" .facts.pdRole
    "pd_buffer_device" $values.transfer.bufferDevice
    "transfer_channel" "nixl"
    "nixl_backends" (list (ternary "LIBFABRIC" "UCX" (eq $values.transfer.fabric "efa")))) -}}
{{- end -}}
{{- if eq .facts.pdRole "sender" -}}
  {{- $_ := merge $file (dict "pd_proxy_host" (include "dpd.router.host" .root) "pd_proxy_port" (int $values.transfer.notifyPort)) -}}
{{- else if eq .facts.pdRole "receiver" -}}
  {{- $_ := merge $file (dict
    "local_cpu" false
    "pd_peer_init_port" (include "dpd.lmcache.ports" (dict "first" $values.transfer.initPort "count" .facts.ranks) | fromJsonArray)
    "pd_peer_alloc_port" (include "dpd.lmcache.ports" (dict "first" $values.transfer.allocPort "count" .facts.ranks) | fromJsonArray)) -}}
{{- end -}}
{{ toYaml $file }}
{{- end }}

{{- define "dpd.lmcache.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "dpd.lmcache.config" (dict "root" .root "role" .facts.role) }}
  namespace: {{ include "dpd.namespace" .root }}
  labels:
    {{- include "dpd.labels" (dict "root" .root "component" .facts.role) | nindent 4 }}
data:
  lmcache.yaml: |
    {{- include "dpd.lmcache.file" . | nindent 4 }}
{{- end }}
