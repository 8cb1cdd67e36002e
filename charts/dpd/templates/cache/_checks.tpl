{{/* Checks of kvCacheSpec. Take the root. */}}

{{- define "dpd.check.cache" -}}
{{- $spec := .Values.kvCacheSpec | default dict -}}
{{- if include "dpd.cache.ownFile" . -}}
{{- if contains "\n" $spec.cacheConfigFile }}
kvCacheSpec.cacheConfigFile: a text of several lines, and it is the path of a file in the worker container; put the file into the image or beside the model, and write its path
{{- end -}}
{{- else if $spec.enableL2Cache -}}
{{ include "dpd.check.cache.l2" . }}
{{- end -}}
{{- range $role := ternary (list "prefill") (list "worker") (not (empty .Values.pdSpec)) -}}
{{- $context := dict "root" $ "facts" (include "dpd.role" (dict "root" $ "role" $role) | fromJson) -}}
{{- $memory := include "dpd.cache.memory" $context | float64 -}}
{{- if and (include "dpd.cache.keeps" $context) (gt $memory 0.0) -}}
{{- $size := include "dpd.cache.size" $context | float64 -}}
{{- if ge (mulf $size $context.facts.ranks) $memory }}
cache.{{ ternary "l1GiBPerRank" "l2BufferGiBPerRank" (eq (include "dpd.lmcache.l1" $) "true") }}: {{ $size }} GiB for each of {{ int $context.facts.ranks }} ranks is no less than the {{ $memory }} GiB of a {{ $role }} pod; lower it, or ask for more memory in {{ $context.facts.path }}.resources
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* LMCache takes a URL it does not know for no store at all, and goes on without one. */}}
{{- define "dpd.check.cache.l2" -}}
{{- $level := .Values.kvCacheSpec.l2CacheSpec | default dict -}}
{{- $schemes := "^(redis|rediss|redis-sentinel|redis-cluster|valkey|unix)://[^/]" -}}
{{- if not $level.l2CacheBackend }}
kvCacheSpec.l2CacheSpec.l2CacheBackend: absent, and enableL2Cache is true; set it to redis or tieredstorage, or enableL2Cache to false
{{- else if eq (include "dpd.cache.l2" .) "redis" -}}
{{- if not $level.l2CacheLocalUrl }}
kvCacheSpec.l2CacheSpec.l2CacheLocalUrl: absent, and l2CacheBackend is redis; set it to the address of Redis, such as redis://redis.default.svc:6379
{{- else if not (regexMatch $schemes (replace "unix:///" "unix://" $level.l2CacheLocalUrl)) }}
kvCacheSpec.l2CacheSpec.l2CacheLocalUrl: {{ $level.l2CacheLocalUrl | toJson }} is no address that LMCache takes; write redis://HOST:PORT, or rediss:// for TLS, redis-cluster:// for a cluster
{{- end -}}
{{- end -}}
{{- end }}
