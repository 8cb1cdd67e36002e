{{/*
prefetchEnabled: an init container of the worker's own image brings the model into a volume of the pod, and the engine
starts when all of it is there. Its program lies in files/model.
*/}}

{{/* "true" when the model is copied before an engine starts: because it shall be, or because its copy stays on the node. */}}
{{- define "dpd.prefetch.on" -}}
{{- if or .Values.modelSourceConfig.prefetchEnabled (include "dpd.modelCache.weights" .) }}true{{ end -}}
{{- end }}

{{/* The node's folder for copies; nothing when each pod has its own. */}}
{{- define "dpd.prefetch.folder" -}}
{{- if .Values.prefetch.hostPath }}{{ .Values.prefetch.hostPath }}{{ else if include "dpd.modelCache.weights" . }}{{ .Values.modelCache.hostPath }}{{ end -}}
{{- end }}

{{/* Names of the two volumes that only prefetching has; the scripts' is HyperPod's, one name for each kind of source. */}}
{{- define "dpd.prefetch.volume" -}}
model-weights-copy
{{- end }}

{{- define "dpd.prefetch.scripts" -}}
{{ ternary "gated-model-downloader-configmap" "parallel-copy-configmap" (eq .Values.modelSourceConfig.modelSourceType "huggingface") }}
{{- end }}

{{- define "dpd.prefetch.container" -}}
{{ ternary "hf-model-downloader" "model-weights-copy" (eq .Values.modelSourceConfig.modelSourceType "huggingface") }}
{{- end }}

{{/* Whether the model is asked of S3 itself, and no driver mounts the bucket. */}}
{{- define "dpd.prefetch.api" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- if and (include "dpd.prefetch.on" .) (eq $source.modelSourceType "s3") (eq .Values.prefetch.s3.access "api") }}true{{ end -}}
{{- end }}

{{/* The volumes that prefetching adds to a pod. Takes {root, facts}. */}}
{{- define "dpd.prefetch.volumes" -}}
{{- $prefetch := .root.Values.prefetch -}}
{{- if include "dpd.prefetch.on" .root }}
{{- $size := include "dpd.prefetch.size" . }}
- name: {{ include "dpd.prefetch.volume" . }}
  {{- if include "dpd.prefetch.folder" .root }}
  hostPath:
    path: {{ include "dpd.prefetch.hostPath" .root | quote }}
    type: DirectoryOrCreate
  {{- else if or $size (eq $prefetch.medium "memory") }}
  emptyDir:
    {{- if eq $prefetch.medium "memory" }}
    medium: Memory
    {{- end }}
    {{- with $size }}
    sizeLimit: {{ . }}
    {{- end }}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: {{ include "dpd.prefetch.scripts" .root }}
  configMap: {name: {{ include "dpd.model.scripts" .root }}}
{{- end }}
{{- end }}

{{/* One folder of the node for each endpoint and source, so that a pod with another model never finds this one's files. */}}
{{- define "dpd.prefetch.hostPath" -}}
{{- $source := omit .Values.modelSourceConfig "prefetchEnabled" | toJson | sha256sum | trunc 12 -}}
{{ trimSuffix "/" (include "dpd.prefetch.folder" .) }}/{{ include "dpd.namespace" . }}/{{ include "dpd.name" . }}/{{ $source }}
{{- end }}

{{/*
What the values say; else, in memory, what the role's GPUs hold: weights that do not fit there cannot be served. Unknown
GPUs leave it empty, and Kubernetes' own limit, the pod's memory, holds. Takes {root, facts}.
*/}}
{{- define "dpd.prefetch.size" -}}
{{- $perGpu := (.root.Values.instance | default dict).gpuMemoryGiB | default 0 -}}
{{- if .root.Values.prefetch.sizeLimit -}}
{{ .root.Values.prefetch.sizeLimit }}
{{- else if and (eq .root.Values.prefetch.medium "memory") $perGpu .facts.gpus -}}
{{ ceil (mulf $perGpu .facts.gpus) | int64 }}Gi
{{- end }}
{{- end }}

{{/* A pod's init containers: the user's first, for one of them may prepare what is copied. Takes {root, facts}. */}}
{{- define "dpd.pod.initContainers" -}}
{{- $own := (.root.Values.kubernetes | default dict).initContainers -}}
{{- $prefetch := include "dpd.prefetch.on" .root -}}
{{- $verify := include "dpd.verify.before" . -}}
{{- if or $own $prefetch $verify }}
initContainers:
  {{- with $own }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- /* Before a model is copied for nothing. */}}
  {{- if $verify }}
  - {{- include "dpd.verify.container" . | nindent 4 }}
  {{- end }}
  {{- if $prefetch }}
  - {{- include "dpd.container.prefetch" . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Takes {root, facts}. */}}
{{- define "dpd.container.prefetch" -}}
{{- $prefetch := .root.Values.prefetch -}}
{{- $root := ternary (dict "runAsNonRoot" false "runAsUser" 0 "runAsGroup" 0) dict (not (empty (include "dpd.prefetch.folder" .root))) -}}
{{- $resources := $prefetch.resources | default (include "dpd.prefetch.resources" . | fromJson) -}}
name: {{ include "dpd.prefetch.container" .root }}
image: {{ $prefetch.image | default .root.Values.worker.image | quote }}
command:
  {{- include "dpd.prefetch.command" .root | fromJsonArray | toYaml | nindent 2 }}
{{- with include "dpd.prefetch.env" .root | fromYamlArray }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (include "dpd.prefetch.api" .root) $prefetch.s3.credentialsSecret }}
envFrom:
  - secretRef: {name: {{ $prefetch.s3.credentialsSecret }}}
{{- end }}
{{- with $resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
# Its last lines, which say what went wrong, are what `kubectl describe pod` shows.
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- /* What a kubelet makes of hostPath is root's: there the writer is root too, without any capability. */}}
  {{- include "dpd.security" (dict "own" (mergeOverwrite (deepCopy (.root.Values.podSecurity.worker | default dict)) $root)) | nindent 2 }}
volumeMounts:
  - {name: {{ include "dpd.prefetch.volume" . }}, mountPath: {{ include "dpd.model.path" .root | quote }}}
  - {name: {{ include "dpd.prefetch.scripts" .root }}, mountPath: /etc/dpd-model, readOnly: true}
  {{- if and (ne .root.Values.modelSourceConfig.modelSourceType "huggingface") (not (include "dpd.prefetch.api" .root)) }}
  {{- include "dpd.model.sourceMount" (dict "root" .root "path" "/model-source") | nindent 2 }}
  {{- end }}
{{- end }}

{{/* As much as the worker after it, devices apart, as JSON: a pod asks for the larger of both, so this costs nothing. */}}
{{- define "dpd.prefetch.resources" -}}
{{- $kinds := list "cpu" "memory" "ephemeral-storage" -}}
{{- $found := dict -}}
{{- range $part := list "requests" "limits" -}}
  {{- $held := get ($.facts.resources | default dict) $part | default dict -}}
  {{- $kept := dict -}}
  {{- range $kinds }}{{ if hasKey $held . }}{{ $_ := set $kept . (get $held .) }}{{ end }}{{ end -}}
  {{- if $kept }}{{ $_ := set $found $part $kept }}{{ end -}}
{{- end -}}
{{ toJson $found }}
{{- end }}
