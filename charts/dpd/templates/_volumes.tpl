{{/* Volumes of a worker pod and what each container mounts. Take {root, facts}. */}}

{{/* Names that belong to the chart; a user's volume may not take one. */}}
{{- define "dpd.volumes.reserved" -}}
{{ list "shm" "tmp" "engine-metrics" "lmcache-config" "tiered-cache" "proxy-config" "model-weights-copy"
  "parallel-copy-configmap" "gated-model-downloader-configmap" "proxy-tmp" "worker-checks" "collector-config"
  "capture-scripts" | toJson }}
{{- end }}

{{- define "dpd.volumes" -}}
{{ include "dpd.model.podVolume" .root }}
{{- include "dpd.prefetch.volumes" . }}
{{- include "dpd.verify.volume" . }}
- name: shm
  emptyDir: {medium: Memory, sizeLimit: {{ .root.Values.shm.sizeLimit }}}
- name: tmp
  emptyDir: {}
- name: engine-metrics
  emptyDir: {medium: Memory, sizeLimit: 256Mi}
{{- if include "dpd.cache.configured" . }}
- name: lmcache-config
  configMap: {name: {{ include "dpd.lmcache.config" (dict "root" .root "role" .facts.role) }}}
{{- end }}
{{- include "dpd.cache.volume" . }}
- name: proxy-config
  configMap: {name: {{ include "dpd.proxy.config" .root }}}
- name: proxy-tmp
  emptyDir: {}
{{- if eq (include "dpd.metrics.enabled" .root) "true" }}
- name: collector-config
  configMap: {name: {{ include "dpd.collector.config" .root }}}
{{- end }}
{{- include "dpd.capture.volumes" . }}
{{- with (.root.Values.kubernetes | default dict).volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dpd.volumes.worker" -}}
{{ include "dpd.model.mount" .root }}
- name: shm
  mountPath: /dev/shm
- name: tmp
  mountPath: /tmp
- name: engine-metrics
  mountPath: {{ include "dpd.env.metricsFolder" .root }}
{{- if or (include "dpd.verify.ready" .) (include "dpd.drain.waits" .root) }}
{{ include "dpd.verify.mount" . }}
{{- end }}
{{- if include "dpd.cache.configured" . }}
- name: lmcache-config
  mountPath: /etc/lmcache
  readOnly: true
{{- end }}
{{- include "dpd.cache.mount" . }}
{{- end }}
