{{/*
Which levels of KV cache an endpoint has beside its GPUs, and where. Prefillers and colocated workers keep KV; a decoder
gets all it needs from its transfer buffer, so it keeps none, whatever kvCacheSpec says.
*/}}

{{/* "true" when LMCache reads a file of the user's own, which overrides the rest of kvCacheSpec. Takes the root. */}}
{{- define "dpd.cache.ownFile" -}}
{{- if kindIs "map" .Values.kvCacheSpec }}{{ if .Values.kvCacheSpec.cacheConfigFile }}true{{ end }}{{ end -}}
{{- end }}

{{/* "true" for a role that reads it: whoever may keep KV. Takes {root, facts}. */}}
{{- define "dpd.cache.readsOwnFile" -}}
{{- if and .facts.lmcache (include "dpd.cache.ownFile" .root) (ne (.facts.pdRole | default "") "receiver") }}true{{ end -}}
{{- end }}

{{/* "true" when the CPU cache is on: kvCacheSpec is given, if only as {}, and does not turn it off. Takes the root. */}}
{{- define "dpd.lmcache.l1" -}}
{{- if kindIs "map" .Values.kvCacheSpec }}{{ if ne (get .Values.kvCacheSpec "enableL1Cache" | toString) "false" }}true{{ end }}{{ end -}}
{{- end }}

{{/* The second level's kind, redis or tieredstorage; nothing when there is none. Takes the root. */}}
{{- define "dpd.cache.l2" -}}
{{- if and (kindIs "map" .Values.kvCacheSpec) (not (include "dpd.cache.ownFile" .)) -}}
{{- if .Values.kvCacheSpec.enableL2Cache -}}
{{- $backend := (.Values.kvCacheSpec.l2CacheSpec | default dict).l2CacheBackend | default "" | lower -}}
{{- if contains "tieredstorage" $backend }}tieredstorage{{ else if contains "redis" $backend }}redis{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* "true" for a role that keeps KV as the chart says. Takes {root, facts}. */}}
{{- define "dpd.cache.keeps" -}}
{{- if and .facts.lmcache (ne (.facts.pdRole | default "") "receiver") (not (include "dpd.cache.ownFile" .root)) -}}
{{- if or (include "dpd.lmcache.l1" .root) (include "dpd.cache.l2" .root) }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* A quantity of memory in GiB. */}}
{{- define "dpd.cache.gib" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $text := toString . -}}
{{- divf (mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]+$" $text) | default 1 | float64)) 1073741824 -}}
{{- end }}

{{/* Memory that a pod of a role may use, in GiB: what it asks for, else its GPUs' share of a node; 0 when unknown. Takes {root, facts}. */}}
{{- define "dpd.cache.memory" -}}
{{- $resources := .facts.resources | default dict -}}
{{- $asked := get ($resources.limits | default dict) "memory" | default (get ($resources.requests | default dict) "memory") -}}
{{- $node := .root.Values.instance | default dict -}}
{{- if $asked -}}
{{ include "dpd.cache.gib" $asked }}
{{- else if and $node.memoryGiB $node.gpus .facts.gpus -}}
{{ divf (mulf $node.memoryGiB .facts.gpus) $node.gpus }}
{{- else -}}
0
{{- end -}}
{{- end }}

{{/*
Host memory of one rank, in GiB: what the values say, else a quarter of the pod's memory over its ranks, else LMCache's
own default. Without a first level, as much as a second one needs to pass KV through. Takes {root, facts}.
*/}}
{{- define "dpd.cache.size" -}}
{{- $cache := .root.Values.cache -}}
{{- if not (include "dpd.lmcache.l1" .root) -}}
{{ $cache.l2BufferGiBPerRank }}
{{- else if $cache.l1GiBPerRank -}}
{{ $cache.l1GiBPerRank }}
{{- else -}}
{{- $memory := include "dpd.cache.memory" . | float64 -}}
{{ ternary (max 1 (floor (divf (mulf $memory 0.25) (max 1 (int .facts.ranks))) | int)) 5 (gt $memory 0.0) }}
{{- end -}}
{{- end }}
