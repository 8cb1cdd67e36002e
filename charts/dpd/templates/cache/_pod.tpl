{{/* What the levels of cache put into a worker's pod: environment, volume, user. All take {root, facts}. */}}

{{/*
JSON list of [name, value or valueFrom] for a cache; last in the environment, they can name the rest. Only the store's URL
is not a decoder's: LMCache would open it there.
*/}}
{{- define "dpd.cache.env" -}}
{{- $env := list -}}
{{- if .facts.lmcache -}}
  {{- if eq (include "dpd.cache.l2" .root) "tieredstorage" -}}
    {{- $env = append $env (list "NODE_IP" (dict "fieldRef" (dict "fieldPath" "status.hostIP"))) -}}
  {{- end -}}
  {{- if include "dpd.cache.keeps" . -}}
    {{- with include "dpd.cache.secretUrl" .root }}{{ $env = append $env (list "LMCACHE_REMOTE_URL" .) }}{{ end -}}
  {{- end -}}
  {{- if and .root.Values.pdSpec (or (include "dpd.lmcache.l1" .root) (include "dpd.cache.l2" .root) (include "dpd.cache.ownFile" .root)) -}}
    {{- $env = append $env (list "PYTHONPATH" "/etc/lmcache") -}}
  {{- end -}}
{{- end -}}
{{ toJson $env }}
{{- end }}

{{/* Where LMCache's configuration lies. */}}
{{- define "dpd.cache.configPath" -}}
{{- if include "dpd.cache.readsOwnFile" . -}}
{{ .root.Values.kvCacheSpec.cacheConfigFile }}
{{- else -}}
/etc/lmcache/lmcache.yaml
{{- end -}}
{{- end }}

{{/* "true" when the pod shares memory with the node's daemon. */}}
{{- define "dpd.cache.shares" -}}
{{- if and (include "dpd.cache.keeps" .) (eq (include "dpd.cache.l2" .root) "tieredstorage") }}true{{ end -}}
{{- end }}

{{/*
The daemon's memory, one file of the node's /dev/shm: with the whole folder, a client that ends would take the memory away
from the daemon. There is no pod before there is the file.
*/}}
{{- define "dpd.cache.volume" -}}
{{- if include "dpd.cache.shares" . }}
- name: tiered-cache
  hostPath: {path: {{ printf "/dev/shm/%s" .root.Values.cache.tieredStorage.sharedMemory | quote }}, type: File}
{{- end }}
{{- end }}

{{- define "dpd.cache.mount" -}}
{{- if include "dpd.cache.shares" . }}
- name: tiered-cache
  mountPath: {{ printf "/dev/shm/%s" .root.Values.cache.tieredStorage.sharedMemory | quote }}
{{- end }}
{{- end }}

{{/* The daemon's memory belongs to a user who is not everyone: JSON of what that means for the worker's securityContext. */}}
{{- define "dpd.cache.security" -}}
{{- $own := deepCopy (.root.Values.podSecurity.worker | default dict) -}}
{{- if include "dpd.cache.shares" . -}}
  {{- $user := int .root.Values.cache.tieredStorage.runAsUser -}}
  {{- $own = mergeOverwrite (dict "runAsUser" $user "runAsGroup" $user) $own -}}
{{- end -}}
{{ toJson $own }}
{{- end }}

{{/* On the ConfigMap: how much host memory the ranks of a pod take together. Without a cache, nothing. */}}
{{- define "dpd.cache.arithmetic" -}}
{{- if include "dpd.cache.keeps" . -}}
{{- $size := include "dpd.cache.size" . | float64 -}}
{{- $total := mulf $size .facts.ranks -}}
annotations:
  inference.sagemaker.aws.amazon.com/dpd-kv-cache-memory: {{ printf "%d ranks of %v GiB: %v GiB of the pod's memory" (int .facts.ranks) $size $total | quote }}
{{- end -}}
{{- end }}
