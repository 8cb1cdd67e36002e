{{/* What the levels of cache put into lmcache.yaml, and where a file of the user's own takes its place. */}}

{{/*
JSON of LMCache's keys for the levels of a role. A sender's host memory is LMCache's L1 even when it only passes KV to a
second level. Takes {root, facts}.
*/}}
{{- define "dpd.cache.keys" -}}
{{- $keys := dict "local_cpu" false -}}
{{- if include "dpd.cache.keeps" . -}}
  {{- $sender := eq (.facts.pdRole | default "") "sender" -}}
  {{- $keys = dict
    "local_cpu" (or $sender (eq (include "dpd.lmcache.l1" .root) "true"))
    "max_local_cpu_size" (include "dpd.cache.size" . | float64) -}}
  {{- $keys = merge $keys (include "dpd.cache.remote" .root | fromJson) -}}
  {{- if $sender }}{{ $keys = mustMerge $keys (include "dpd.cache.ownNames" . | fromJson) }}{{ end -}}
{{- end -}}
{{ toJson $keys }}
{{- end }}

{{/* JSON of the second level's keys. A URL with $(NAME) in it is for Kubernetes to complete: see _pod.tpl. Takes the root. */}}
{{- define "dpd.cache.remote" -}}
{{- $level := include "dpd.cache.l2" . -}}
{{- $keys := dict -}}
{{- if eq $level "tieredstorage" -}}
  {{- $tiered := .Values.cache.tieredStorage -}}
  {{- /* LMCache completes $NODE_IP itself. The bucket keeps endpoints apart, for KV is filed under the model's path. */}}
  {{- $keys = dict
    "remote_url" (printf "sagemaker-hyperpod://$NODE_IP:%d" (int $tiered.port))
    "remote_serde" "naive"
    "extra_config" (dict
      "sagemaker_hyperpod_shared_memory_name" $tiered.sharedMemory
      "sagemaker_hyperpod_bucket" (include "dpd.cache.bucket" .)) -}}
{{- else if eq $level "redis" -}}
  {{- $keys = dict "remote_serde" "naive" -}}
  {{- if not (include "dpd.cache.secretUrl" .) }}{{ $_ := set $keys "remote_url" .Values.kvCacheSpec.l2CacheSpec.l2CacheLocalUrl }}{{ end -}}
{{- end -}}
{{ toJson $keys }}
{{- end }}

{{/* An endpoint's own, and another one for other weights: no endpoint is ever handed another model's KV. */}}
{{- define "dpd.cache.bucket" -}}
{{ include "dpd.name.qualified" . }}-{{ omit .Values.modelSourceConfig "prefetchEnabled" | toJson | sha256sum | trunc 8 }}
{{- end }}

{{/* The URL when Kubernetes has to complete it, say with a password out of a Secret. Takes the root. */}}
{{- define "dpd.cache.secretUrl" -}}
{{- if eq (include "dpd.cache.l2" .) "redis" -}}
{{- $url := .Values.kvCacheSpec.l2CacheSpec.l2CacheLocalUrl -}}
{{- if contains "$(" $url }}{{ $url }}{{ end -}}
{{- end -}}
{{- end }}

{{/*
What a sender copies into host memory would be filed under wrong names by LMCache 0.4.3. So it is told to store nothing but
transfers, and the plugin in files/lmcache lifts that again once it has put the names right. Takes {root, facts}.
*/}}
{{- define "dpd.cache.ownNames" -}}
{{- $extra := deepCopy (get (include "dpd.cache.remote" .root | fromJson) "extra_config" | default dict) -}}
{{- $_ := set $extra "storage_plugin.own_names.module_path" "dpd_own_names" -}}
{{- $_ := set $extra "storage_plugin.own_names.class_name" "OwnNames" -}}
{{ dict "store_location" "PDBackend" "storage_plugins" (list "own_names") "extra_config" $extra | toJson }}
{{- end }}

{{/* "true" for a role that is given the plugin: a file of the user's own may ask for it too. Takes {root, facts}. */}}
{{- define "dpd.cache.plugin" -}}
{{- if eq (.facts.pdRole | default "") "sender" -}}
{{- if or (include "dpd.cache.keeps" .) (include "dpd.cache.readsOwnFile" .) }}true{{ end -}}
{{- end -}}
{{- end }}

{{/*
kv_transfer_config of a role. A prefiller that reads the user's own file gets what the transfer stands on this way, for
LMCache puts these keys over its file. Takes {root, row, ranks} → JSON.
*/}}
{{- define "dpd.cache.kvTransfer" -}}
{{- $config := deepCopy .row.kvTransfer -}}
{{- if and (include "dpd.cache.ownFile" .root) (eq (.row.pdRole | default "") "sender") -}}
  {{- $facts := dict "pdRole" .row.pdRole "ranks" 1 -}}
  {{- $keys := include "dpd.lmcache.transfer" (dict "root" .root "facts" $facts) | fromJson -}}
  {{- $_ := set $keys "store_location" "PDBackend" -}}
  {{- range $key, $value := $keys }}{{ $_ := set $config.kv_connector_extra_config (printf "lmcache.%s" $key) $value }}{{ end -}}
{{- end -}}
{{ toJson $config }}
{{- end }}
