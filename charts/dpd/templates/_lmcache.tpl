{{/* LMCache: whether it runs, and the file it reads. */}}

{{/* "true" when the engine runs with LMCache: under pdSpec unless vLLM transfers by itself, else when the manifest asks for a cache. */}}
{{- define "dpd.lmcache.enabled" -}}
{{- if .Values.pdSpec -}}
{{ include "dpd.transfer.lmcache" . }}
{{- else if kindIs "map" .Values.kvCacheSpec -}}
{{- $own := include "dpd.args.has" (dict "segments" (include "dpd.worker.segments" . | fromJsonArray) "key" "kv-transfer-config") -}}
{{- if and (not $own) (or (include "dpd.cache.ownFile" .) (include "dpd.lmcache.l1" .) (include "dpd.cache.l2" .)) }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* Takes {first, count} → JSON list of one port per tensor-parallel rank. */}}
{{- define "dpd.lmcache.ports" -}}
{{- $first := int .first -}}
{{- $ports := list -}}
{{- range until (int .count) }}{{ $ports = append $ports (add $first .) }}{{ end -}}
{{ toJson $ports }}
{{- end }}

{{/*
JSON of what the transfer stands on, and the hashing that both roles must share. Buffer size and addresses come from the
environment: see _env.tpl. Takes {root, facts}.
*/}}
{{- define "dpd.lmcache.transfer" -}}
{{- $values := .root.Values -}}
{{- $keys := dict "chunk_size" 256 "save_unfull_chunk" true "pre_caching_hash_algorithm" "builtin" -}}
{{- if .facts.pdRole -}}
  {{- $_ := merge $keys (dict
    "enable_pd" true
    "pd_role" .facts.pdRole
    "pd_buffer_device" $values.transfer.bufferDevice
    "transfer_channel" "nixl"
    "nixl_backends" (list (ternary "LIBFABRIC" "UCX" (eq $values.transfer.fabric "efa")))) -}}
{{- end -}}
{{- if eq (.facts.pdRole | default "") "sender" -}}
  {{- $_ := merge $keys (dict "pd_proxy_host" (include "dpd.router.host" .root) "pd_proxy_port" (int $values.transfer.notifyPort)) -}}
{{- else if eq (.facts.pdRole | default "") "receiver" -}}
  {{- $_ := merge $keys (dict
    "pd_peer_init_port" (include "dpd.lmcache.ports" (dict "first" $values.transfer.initPort "count" .facts.ranks) | fromJsonArray)
    "pd_peer_alloc_port" (include "dpd.lmcache.ports" (dict "first" $values.transfer.allocPort "count" .facts.ranks) | fromJsonArray)) -}}
{{- end -}}
{{ toJson $keys }}
{{- end }}

{{/* lmcache.yaml of a role. Takes {root, facts}. */}}
{{- define "dpd.lmcache.file" -}}
{{ merge (include "dpd.lmcache.transfer" . | fromJson) (include "dpd.cache.keys" . | fromJson) | include "dpd.files.lines" | trim }}
{{- end }}

{{/* What a role's ConfigMap holds; nothing, and no ConfigMap, when all of it is the user's own. Takes {root, facts}. */}}
{{- define "dpd.lmcache.data" -}}
{{- if not (include "dpd.cache.readsOwnFile" .) }}
lmcache.yaml: |
  {{- include "dpd.lmcache.file" . | nindent 2 }}
{{- end }}
{{- if include "dpd.cache.plugin" . }}
dpd_own_names.py: |
  {{- .root.Files.Get "files/lmcache/dpd_own_names.py" | nindent 2 }}
{{- end }}
{{- end }}

{{/* The same, for a role that runs with LMCache at all; what is mounted at /etc/lmcache. Takes {root, facts}. */}}
{{- define "dpd.cache.configured" -}}
{{- if .facts.lmcache }}{{ include "dpd.once" (dict "root" .root "helper" "dpd.lmcache.data" "of" .facts.role "with" .) | trim }}{{ end -}}
{{- end }}

{{- define "dpd.lmcache.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "dpd.lmcache.config" (dict "root" .root "role" .facts.role) }}
  namespace: {{ include "dpd.namespace" .root }}
  labels:
    {{- include "dpd.labels" (dict "root" .root "component" .facts.role) | nindent 4 }}
  {{- include "dpd.cache.arithmetic" . | nindent 2 }}
data:
  {{- include "dpd.cache.configured" . | nindent 2 }}
{{- end }}
